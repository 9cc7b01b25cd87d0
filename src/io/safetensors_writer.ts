/** Lays out safetensors files and makes them part by part: the same input always gives the same bytes. */
import { SpielError } from "../errors.ts";
import { DTYPE_BYTES, type SafetensorsDtype } from "./safetensors.ts";
import { elementsIn } from "./shape.ts";

/** One tensor to write. */
export interface SafetensorsSpec {
  dtype: SafetensorsDtype;
  shape: readonly number[];
}

/** A tensor to write, whose elements are made when its turn comes. */
export interface SafetensorsTensor extends SafetensorsSpec {
  /** The elements, little-endian in row-major order, in parts of whole ones. */
  parts(): Iterable<ArrayBufferView<ArrayBuffer>> | AsyncIterable<ArrayBufferView<ArrayBuffer>>;
}

/** The start of a file and the order in which payloads follow it, without gaps. */
export interface SafetensorsPlan {
  /** Everything before the first payload. */
  header: Uint8Array<ArrayBuffer>;
  payloads: { name: string; byteLength: number }[];
  /** Bytes of the whole file. */
  size: number;
}

/**
 * Plans a file, for writers that stream payloads. Wider dtypes come first and names in code unit order
 * within a dtype size, so that every tensor is aligned to its elements.
 */
export function safetensorsHeader(
  specs: ReadonlyMap<string, SafetensorsSpec>,
  metadata: Readonly<Record<string, string>> = {},
): SafetensorsPlan {
  const ordered = [...specs].sort(([nameA, a], [nameB, b]) =>
    DTYPE_BYTES[b.dtype] - DTYPE_BYTES[a.dtype] || (nameA < nameB ? -1 : nameA > nameB ? 1 : 0)
  );
  // A Map, not an object, so that no tensor name is special to JavaScript.
  const fields: string[] = [];
  const metadataKeys = Object.keys(metadata).sort();
  if (metadataKeys.length > 0) {
    const sorted = metadataKeys.map((key) =>
      `${JSON.stringify(key)}:${JSON.stringify(metadata[key])}`
    );
    fields.push(`"__metadata__":{${sorted.join(",")}}`);
  }
  const payloads: SafetensorsPlan["payloads"] = [];
  let offset = 0;
  for (const [name, { dtype, shape }] of ordered) {
    const byteLength = elementsIn(shape) * DTYPE_BYTES[dtype];
    const end = offset + byteLength;
    fields.push(
      `${JSON.stringify(name)}:` +
        JSON.stringify({ dtype, shape: [...shape], data_offsets: [offset, end] }),
    );
    payloads.push({ name, byteLength });
    offset = end;
  }
  const json = new TextEncoder().encode(`{${fields.join(",")}}`);
  const padded = Math.ceil(json.length / 8) * 8;
  const header = new Uint8Array(8 + padded).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(padded), true);
  header.set(json, 8);
  return { header, payloads, size: header.length + offset };
}

/** What goes with a file's tensors. */
export interface SafetensorsContentOptions {
  /** Texts by name. */
  metadata?: Readonly<Record<string, string>>;
  /** Looks at elements before they are written, whole ones from `first` on; may throw. */
  inspect?: (name: string, elements: Uint8Array<ArrayBuffer>, first: number) => void;
}

/** Enough for few calls, little enough that nothing else waits long for one. */
const PART_BYTES = 8 << 20;

/**
 * A whole file in parts, for `publishFolder`. A tensor's elements are asked for when its turn comes, so that no more
 * than one part of theirs is in memory.
 *
 * @throws {SpielError} kind "internal" when a tensor's parts do not have the size of its shape.
 */
export async function* safetensorsContent(
  tensors: ReadonlyMap<string, SafetensorsTensor>,
  { metadata, inspect }: SafetensorsContentOptions = {},
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const plan = safetensorsHeader(tensors, metadata);
  yield plan.header;
  for (const { name, byteLength } of plan.payloads) {
    const { dtype, parts } = tensors.get(name)!;
    let given = 0;
    for await (const part of parts()) {
      for (let at = 0; at < part.byteLength; at += PART_BYTES) {
        const length = Math.min(PART_BYTES, part.byteLength - at);
        const bytes = new Uint8Array(part.buffer, part.byteOffset + at, length);
        inspect?.(name, bytes, (given + at) / DTYPE_BYTES[dtype]);
        yield bytes;
      }
      given += part.byteLength;
    }
    if (given === byteLength) continue;
    throw new SpielError(
      "internal",
      `Cannot encode tensor "${name}": ${given} bytes given, ${byteLength} expected`,
    );
  }
}
