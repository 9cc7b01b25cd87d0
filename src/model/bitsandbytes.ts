/**
 * Matrices that bitsandbytes has quantised to NF4, seen as NF4 blocks. Its files keep the parts of a matrix in tensors of
 * their own: the codes, the largest magnitudes of each 64 weights (with double quantisation as a byte each, with a level
 * table, a scale for 256 of them and an offset), and a description in JSON. A block of ours holds the float that the
 * magnitude stands for, computed as bitsandbytes does, so nothing is lost.
 *
 * Source: `QuantState.as_dict` and `dequantize_4bit` of bitsandbytes 0.50.2, executed for tests/golden/bitsandbytes.
 */
import { SpielError } from "../errors.ts";
import { parseJsonObject } from "../io/random_access.ts";
import type { SafetensorsDtype, SafetensorsFile } from "../io/safetensors.ts";
import type { SafetensorsFolder } from "../io/safetensors_shards.ts";
import { elementsIn } from "../io/shape.ts";
import { ConfigFields } from "./config_fields.ts";
import type { ModelTensor } from "./tensors.ts";

const DESCRIPTION = /^(.+)\.quant_state\.bitsandbytes__(\w+)$/;
const PART = /^(.+)\.(?:nested_)?(?:absmax|quant_map)$/;
/** A few lines of JSON. */
const MAX_DESCRIPTION_BYTES = 65_536;
const BLOCK = 64;
const CODE_BYTES = BLOCK / 2;
const BLOCK_BYTES = 4 + CODE_BYTES;
const NESTED_BLOCK = 256;
/** What the codes of NF4 stand for; a file that says otherwise holds another type. */
const LEVELS = Float32Array.of(
  ...[-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453],
  ...[-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0],
  ...[0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224],
  ...[0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1],
);

/** How magnitudes that are quantised themselves are read. */
interface NestedMagnitudes {
  levels: Float32Array;
  scales: Float32Array;
  offset: number;
}

/** One matrix, seen as NF4 blocks. */
export class BitsandbytesMatrix {
  /** As it is read. */
  readonly tensor: ModelTensor;

  /**
   * @param codes The file of the codes.
   * @param magnitudes The file of their magnitudes, which may be another where a folder is cut into files.
   */
  constructor(
    readonly codes: SafetensorsFile,
    readonly magnitudes: SafetensorsFile,
    readonly name: string,
    shape: number[],
    readonly nested: NestedMagnitudes | null,
  ) {
    const byteLength = elementsIn(shape) / BLOCK * BLOCK_BYTES;
    this.tensor = { format: "nf4", shape, byteLength };
  }

  /**
   * Reads a range of its blocks' bytes.
   *
   * @throws {SpielError} kind "data" for a magnitude that is infinite or not a number.
   */
  read(byteOffset: number, length: number): Uint8Array<ArrayBuffer> {
    const first = Math.floor(byteOffset / BLOCK_BYTES);
    const count = Math.ceil((byteOffset + length) / BLOCK_BYTES) - first;
    const codes = this.codes.readRange(this.name, first * CODE_BYTES, count * CODE_BYTES);
    const magnitudes = this.#magnitudesOf(first, count);
    const bad = magnitudes.findIndex((magnitude) => !Number.isFinite(magnitude));
    if (bad >= 0) {
      throw new SpielError(
        "data",
        `${this.magnitudes.path}: tensor "${this.name}.absmax" is ${magnitudes[bad]} at ` +
          `${first + bad}; expected a finite magnitude`,
      );
    }
    const blocks = new Uint8Array(count * BLOCK_BYTES);
    const view = new DataView(blocks.buffer);
    for (let block = 0; block < count; block++) {
      view.setFloat32(block * BLOCK_BYTES, magnitudes[block]!, true);
      const own = codes.subarray(block * CODE_BYTES, (block + 1) * CODE_BYTES);
      blocks.set(own, block * BLOCK_BYTES + 4);
    }
    const start = byteOffset - first * BLOCK_BYTES;
    return start === 0 && length === blocks.length ? blocks : blocks.slice(start, start + length);
  }

  #magnitudesOf(first: number, count: number): Float32Array {
    const name = `${this.name}.absmax`;
    if (this.nested === null) return floats(this.magnitudes.readRange(name, 4 * first, 4 * count));
    const { levels, scales, offset } = this.nested;
    const bytes = this.magnitudes.readRange(name, first, count);
    // Each operation is rounded to f32, as in torch.
    return Float32Array.from(
      bytes,
      (byte, block) =>
        Math.fround(levels[byte]! * scales[Math.floor((first + block) / NESTED_BLOCK)]!) + offset,
    );
  }
}

/** Quantised matrices by their names, and the names of the tensors that they consist of. */
export interface BitsandbytesTensors {
  matrices: ReadonlyMap<string, BitsandbytesMatrix>;
  parts: ReadonlySet<string>;
}

/**
 * Finds the matrices that bitsandbytes has quantised.
 *
 * @throws {SpielError} kind "data" naming the file and the part that is missing or not as expected.
 */
export function bitsandbytesTensors(weights: SafetensorsFolder): BitsandbytesTensors {
  const matrices = new Map<string, BitsandbytesMatrix>();
  const parts = new Set<string>();
  for (const described of weights.names()) {
    const [, name, type] = DESCRIPTION.exec(described) ?? [];
    if (name === undefined) continue;
    const reader = new PartReader(weights, name);
    if (type !== "nf4") {
      throw reader.fail(described, `is of the 4-bit type ${type}; expected nf4`);
    }
    matrices.set(name, readMatrix(reader, described));
    for (const part of reader.used) parts.add(part);
  }
  const stray = [...weights.names()].find((name) => PART.test(name) && !parts.has(name));
  if (stray === undefined) return { matrices, parts };
  const [, name] = PART.exec(stray)!;
  throw new SpielError(
    "data",
    `${
      weights.fileOf(stray)!.path
    }: tensor "${stray}" has no "${name}.quant_state.bitsandbytes__nf4" beside it`,
  );
}

function readMatrix(reader: PartReader, described: string): BitsandbytesMatrix {
  const { name } = reader;
  const state = reader.description(described);
  state.only("quant_type", "nf4");
  const shape = shapeOf(state);
  const elements = elementsIn(shape);
  expectSize(state, "blocksize", BLOCK);
  if (shape[1]! % BLOCK !== 0) {
    throw reader.fail(
      name,
      `has rows of ${
        shape[1]
      } weights; expected a multiple of ${BLOCK}, so that rows are whole blocks`,
    );
  }
  // bitsandbytes keeps the codes in a tensor of any type, as `bnb_4bit_quant_storage` says.
  reader.expectBytes(name, elements / 2);
  if (reader.floats(`${name}.quant_map`, LEVELS.length).some((level, i) => level !== LEVELS[i])) {
    throw reader.fail(`${name}.quant_map`, "has other levels than those of nf4");
  }
  const blocks = elements / BLOCK;
  const isNested = state.has("nested_blocksize");
  reader.expect(`${name}.absmax`, isNested ? "U8" : "F32", blocks);
  return new BitsandbytesMatrix(
    reader.fileOf(name),
    reader.fileOf(`${name}.absmax`),
    name,
    shape,
    isNested ? nested(reader, state, blocks) : null,
  );
}

function nested(reader: PartReader, state: ConfigFields, blocks: number): NestedMagnitudes {
  const { name } = reader;
  expectSize(state, "nested_blocksize", NESTED_BLOCK);
  const offset = state.value("nested_offset");
  if (typeof offset !== "number") throw state.mismatch("nested_offset", "a number");
  return {
    levels: reader.floats(`${name}.nested_quant_map`, 256),
    scales: reader.floats(`${name}.nested_absmax`, Math.ceil(blocks / NESTED_BLOCK)),
    offset: Math.fround(offset),
  };
}

function expectSize(state: ConfigFields, key: string, size: number): void {
  if (state.value(key) !== size) throw state.unsupported(key, String(size));
}

function shapeOf(state: ConfigFields): number[] {
  const shape = state.value("shape");
  const isMatrix = Array.isArray(shape) && shape.length === 2 &&
    shape.every((size) => Number.isSafeInteger(size) && size > 0);
  if (!isMatrix || !Number.isSafeInteger(elementsIn(shape))) {
    throw state.mismatch("shape", "[out, in]");
  }
  return shape;
}

/** Reads the parts of one matrix, each of which may lie in another file. */
class PartReader {
  /** Names of all parts but the codes, which have the matrix's own. */
  readonly used = new Set<string>();

  constructor(readonly weights: SafetensorsFolder, readonly name: string) {}

  /** The file of a part, which must be there. */
  fileOf(part: string): SafetensorsFile {
    const file = this.weights.fileOf(part);
    if (file !== undefined) return file;
    const what = part === this.name ? " with its codes" : "";
    throw new SpielError("data", `${this.weights.path} has no tensor "${part}"${what}`);
  }

  /** The description of the matrix. */
  description(part: string): ConfigFields {
    this.expect(part, "U8");
    const file = this.fileOf(part);
    if (file.entry(part).byteLength > MAX_DESCRIPTION_BYTES) {
      throw this.fail(part, `is larger than ${MAX_DESCRIPTION_BYTES} bytes`);
    }
    const where = `${file.path}: "${part}"`;
    return ConfigFields.ofObject(
      where,
      parseJsonObject(new TextDecoder().decode(file.read(part)), where),
    );
  }

  /** All of a part of so many floats. */
  floats(part: string, count: number): Float32Array {
    this.expect(part, "F32", count);
    const values = floats(this.fileOf(part).read(part));
    if (values.every(Number.isFinite)) return values;
    throw this.fail(part, "has values that are infinite or not numbers");
  }

  /** Checks a part's type and, where given, its number of elements. */
  expect(part: string, dtype: SafetensorsDtype, count?: number): void {
    this.used.add(part);
    const { dtype: found, shape } = this.fileOf(part).entry(part);
    if (found !== dtype) throw this.fail(part, `has dtype ${found}; expected ${dtype}`);
    const elements = elementsIn(shape);
    if (count !== undefined && elements !== count) {
      throw this.fail(part, `has ${elements} elements; expected ${count}`);
    }
  }

  expectBytes(part: string, count: number): void {
    const { byteLength } = this.fileOf(part).entry(part);
    if (byteLength !== count) throw this.fail(part, `has ${byteLength} bytes; expected ${count}`);
  }

  fail(part: string, reason: string): SpielError {
    return new SpielError("data", `${this.fileOf(part).path}: tensor "${part}" ${reason}`);
  }
}

function floats(bytes: Uint8Array<ArrayBuffer>): Float32Array {
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}
