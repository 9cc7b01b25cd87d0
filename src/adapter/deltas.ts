/** Sparse deltas of one module as arrays: from and to the bytes of an adapter file. */

import { SpielError } from "../errors.ts";

/** Sparse deltas of one module: `values[i]` is added to the weight at flat row-major `indices[i]`. */
export interface SparseDeltas {
  /** [k], ascending, no two equal. */
  indices: Uint32Array<ArrayBuffer>;
  /** [k] */
  values: Float32Array<ArrayBuffer>;
}

const BITS_OF_I32 = 0x7fff_ffff;

/**
 * @param bytes little-endian elements, whose buffer may be kept.
 * @param where names the tensor in messages.
 * @throws SpielError "data" for another dtype or an index that is negative or beyond 32 bits.
 */
export function decodeIndices(
  dtype: string,
  bytes: Uint8Array<ArrayBuffer>,
  where: string,
): Uint32Array<ArrayBuffer> {
  const beyond = (slot: number, value: number | bigint) =>
    new SpielError("data", `${where}: index ${value} in slot ${slot}, expected 0 to 2^32 - 1`);
  if (dtype === "I32") {
    const indices = new Uint32Array(wholeBuffer(bytes));
    const slot = indices.findIndex((index) => index > BITS_OF_I32);
    if (slot >= 0) throw beyond(slot, indices[slot]! | 0);
    return indices;
  }
  if (dtype === "I64") {
    const halves = new Uint32Array(wholeBuffer(bytes));
    const indices = new Uint32Array(halves.length / 2);
    for (let slot = 0; slot < indices.length; slot++) {
      if (halves[2 * slot + 1] !== 0) {
        throw beyond(slot, new BigInt64Array(halves.buffer)[slot]!);
      }
      indices[slot] = halves[2 * slot]!;
    }
    return indices;
  }
  throw new SpielError("data", `${where}: dtype ${dtype}, expected I32 or I64`);
}

/**
 * @param bytes little-endian elements, whose buffer may be kept.
 * @throws SpielError "data" for another dtype than F32, F16 and BF16.
 */
export function decodeValues(
  dtype: string,
  bytes: Uint8Array<ArrayBuffer>,
  where: string,
): Float32Array<ArrayBuffer> {
  const buffer = wholeBuffer(bytes);
  switch (dtype) {
    case "F32":
      return new Float32Array(buffer);
    case "F16":
      return Float32Array.from(new Float16Array(buffer));
    case "BF16": {
      // bf16 is the upper half of f32.
      const bits = Uint32Array.from(new Uint16Array(buffer), (half) => half << 16);
      return new Float32Array(bits.buffer);
    }
    default:
      throw new SpielError("data", `${where}: dtype ${dtype}, expected F32, F16 or BF16`);
  }
}

/**
 * Brings deltas into ascending order of their indices, values along.
 *
 * @throws SpielError "data" when an index occurs twice.
 */
export function sortDeltas({ indices, values }: SparseDeltas, where: string): SparseDeltas {
  if (isAscending(indices)) return { indices, values };
  // Index and value bits share one 64-bit word, so that a numeric sort moves both.
  const count = indices.length;
  const valueBits = new Uint32Array(values.buffer, values.byteOffset, count);
  const halves = new Uint32Array(2 * count);
  for (let slot = 0; slot < count; slot++) {
    halves[2 * slot] = valueBits[slot]!;
    halves[2 * slot + 1] = indices[slot]!;
  }
  new BigUint64Array(halves.buffer).sort();
  const sorted = { indices: new Uint32Array(count), values: new Float32Array(count) };
  const sortedBits = new Uint32Array(sorted.values.buffer);
  for (let slot = 0; slot < count; slot++) {
    sortedBits[slot] = halves[2 * slot]!;
    sorted.indices[slot] = halves[2 * slot + 1]!;
    if (slot > 0 && sorted.indices[slot] === sorted.indices[slot - 1]) {
      throw new SpielError(
        "data",
        `${where}: index ${sorted.indices[slot]} occurs twice, expected distinct positions`,
      );
    }
  }
  return sorted;
}

/** A buffer of these bytes and no others: their own, where it is. */
function wholeBuffer(bytes: Uint8Array<ArrayBuffer>): ArrayBuffer {
  return bytes.length === bytes.buffer.byteLength ? bytes.buffer : bytes.slice().buffer;
}

/** The narrowest index dtype of the layout for indices up to `last`. */
export function indexDtype(last: number): "I32" | "I64" {
  return last <= BITS_OF_I32 ? "I32" : "I64";
}

/** Indices as I64, in the same parts. */
export async function* widenIndices(
  parts: AsyncIterable<Uint32Array>,
): AsyncGenerator<Uint32Array<ArrayBuffer>> {
  for await (const part of parts) {
    const halves = new Uint32Array(2 * part.length);
    part.forEach((index, slot) => halves[2 * slot] = index);
    yield halves;
  }
}

function isAscending(indices: Uint32Array): boolean {
  for (let slot = 1; slot < indices.length; slot++) {
    if (indices[slot]! <= indices[slot - 1]!) return false;
  }
  return true;
}
