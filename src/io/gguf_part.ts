/** One file in GGUF's form (versions 2 and 3): metadata and tensor table checked as a whole, payload by range. */
import { GGML_TYPES, type GgmlType } from "./ggml_types.ts";
import { GgufCursor, type GgufValue } from "./gguf_cursor.ts";
import { RandomAccessFile } from "./random_access.ts";
import { elementsIn } from "./shape.ts";

/** Where one tensor lies and how it is packed. */
export interface GgufTensor {
  type: GgmlType;
  /** Row-major, slowest dimension first: [out, in]. The file itself lists the dimensions the other way round. */
  shape: number[];
  /** Position of the payload in the file, in bytes. */
  byteOffset: number;
  byteLength: number;
}

const MAGIC = 0x46554747;
const MAX_TENSORS = 65_536;
const MAX_METADATA = 65_536;
const MAX_NAME_BYTES = 1024;
const MAX_DIMENSIONS = 4;
const DEFAULT_ALIGNMENT = 32;
const MAX_ALIGNMENT = 65_536;

/** An open file, which is a model or a part of one. */
export class GgufPart implements Disposable {
  readonly path: string;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  /** Where the metadata's values begin and end, with their types. */
  readonly #places: ReadonlyMap<string, readonly [begin: number, end: number]>;
  readonly #file: RandomAccessFile;

  private constructor(file: RandomAccessFile) {
    this.#file = file;
    this.path = file.path;
    const cursor = new GgufCursor(file);
    const { tensorCount, metadataCount } = readCounts(cursor);
    const { metadata, places } = readMetadata(cursor, metadataCount);
    this.metadata = metadata;
    this.#places = places;
    this.tensors = readTensorTable(cursor, tensorCount, alignmentOf(cursor, this.metadata), file);
  }

  /**
   * Opens a file and checks everything but the payload.
   *
   * @throws {SpielError} kind "data" naming the file, the field, its value and what was expected.
   */
  static open(path: string): GgufPart {
    const file = RandomAccessFile.open(path);
    try {
      return new GgufPart(file);
    } catch (error) {
      file[Symbol.dispose]();
      throw error;
    }
  }

  /** Bytes in the file. */
  get size(): number {
    return this.#file.size;
  }

  /** The bytes of a metadata value, its type before it; undefined when the key is absent. */
  storedValue(key: string): Uint8Array<ArrayBuffer> | undefined {
    const place = this.#places.get(key);
    return place && this.#file.read(place[0], place[1] - place[0]);
  }

  /** Reads `length` bytes at `offset` of the file, into a buffer where one is given. */
  read(
    offset: number,
    length: number,
    into?: Uint8Array<ArrayBuffer>,
  ): Uint8Array<ArrayBuffer> {
    return this.#file.read(offset, length, into);
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }
}

function readCounts(cursor: GgufCursor) {
  if (cursor.u32("the magic number") !== MAGIC) {
    throw cursor.fail(`the file does not start with "GGUF"`);
  }
  const version = cursor.u32("the version");
  if (version !== 2 && version !== 3) {
    const bigEndian = version !== 0 && (version & 0xFFFF) === 0;
    throw cursor.fail(
      bigEndian
        ? "the file is big-endian; expected little-endian"
        : `the GGUF version is ${version}; expected 2 or 3`,
    );
  }
  return {
    tensorCount: cursor.count("the number of tensors", MAX_TENSORS),
    metadataCount: cursor.count("the number of metadata entries", MAX_METADATA),
  };
}

function readMetadata(cursor: GgufCursor, count: number) {
  const metadata = new Map<string, GgufValue>();
  const places = new Map<string, [number, number]>();
  for (let i = 0; i < count; i++) {
    const key = cursor.string(`the key of metadata entry ${i}`, MAX_NAME_BYTES);
    if (metadata.has(key)) throw cursor.fail(`metadata "${key}" occurs twice`);
    const begin = cursor.position;
    metadata.set(key, cursor.value(`metadata "${key}"`));
    places.set(key, [begin, cursor.position]);
  }
  return { metadata, places };
}

function alignmentOf(cursor: GgufCursor, metadata: ReadonlyMap<string, GgufValue>): number {
  const alignment = metadata.get("general.alignment") ?? DEFAULT_ALIGNMENT;
  const isPowerOfTwo = typeof alignment === "number" && Number.isInteger(Math.log2(alignment));
  if (!isPowerOfTwo || alignment < 1 || alignment > MAX_ALIGNMENT) {
    throw cursor.fail(
      `general.alignment is ${alignment}; expected a power of two up to ${MAX_ALIGNMENT}`,
    );
  }
  return alignment;
}

function readTensorTable(
  cursor: GgufCursor,
  count: number,
  alignment: number,
  file: RandomAccessFile,
): Map<string, GgufTensor> {
  const tensors = new Map<string, GgufTensor>();
  for (let i = 0; i < count; i++) {
    const name = cursor.string(`the name of tensor ${i}`, MAX_NAME_BYTES);
    if (tensors.has(name)) throw cursor.fail(`tensor "${name}" occurs twice`);
    tensors.set(name, readTensorInfo(cursor, name, alignment));
  }
  const dataStart = Math.ceil(cursor.position / alignment) * alignment;
  for (const tensor of tensors.values()) tensor.byteOffset += dataStart;
  const byOffset = [...tensors].sort(([, a], [, b]) => a.byteOffset - b.byteOffset);
  let end = dataStart;
  for (const [name, tensor] of byOffset) {
    if (tensor.byteOffset < end) throw cursor.fail(`tensor "${name}" overlaps the one before it`);
    end = tensor.byteOffset + tensor.byteLength;
    if (!Number.isSafeInteger(end) || end > file.size) {
      throw cursor.fail(
        `tensor "${name}" ends at byte ${end}, but the file has ${file.size} bytes (truncated?)`,
      );
    }
  }
  return tensors;
}

/** Reads one entry; its `byteOffset` is still relative to the data section. */
function readTensorInfo(cursor: GgufCursor, name: string, alignment: number): GgufTensor {
  const dimensions = cursor.u32(`the number of dimensions of tensor "${name}"`);
  if (dimensions < 1 || dimensions > MAX_DIMENSIONS) {
    throw cursor.fail(
      `tensor "${name}" has ${dimensions} dimensions; expected 1 to ${MAX_DIMENSIONS}`,
    );
  }
  const shape: number[] = [];
  for (let i = 0; i < dimensions; i++) {
    shape.unshift(cursor.count(`dimension ${i} of tensor "${name}"`, Number.MAX_SAFE_INTEGER));
  }
  const typeNumber = cursor.u32(`the type of tensor "${name}"`);
  const type = GGML_TYPES.get(typeNumber);
  if (type === undefined) throw cursor.fail(`tensor "${name}" has the unknown type ${typeNumber}`);
  const rowElements = shape[shape.length - 1]!;
  if (rowElements % type.blockElements !== 0) {
    throw cursor.fail(
      `tensor "${name}" has rows of ${rowElements} elements; ` +
        `expected a multiple of ${type.blockElements} for ${type.name}`,
    );
  }
  const elements = elementsIn(shape);
  const byteLength = elements / type.blockElements * type.blockBytes;
  if (!Number.isSafeInteger(elements) || !Number.isSafeInteger(byteLength)) {
    throw cursor.fail(`tensor "${name}" has shape [${shape}], which is too large to address`);
  }
  const byteOffset = cursor.count(`the offset of tensor "${name}"`, Number.MAX_SAFE_INTEGER);
  if (byteOffset % alignment !== 0) {
    throw cursor.fail(
      `tensor "${name}" has offset ${byteOffset}; expected a multiple of ${alignment}`,
    );
  }
  return { type, shape, byteOffset, byteLength };
}
