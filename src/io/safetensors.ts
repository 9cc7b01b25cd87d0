/** Reads safetensors files: the header checked as strictly as the format's own reader, payload by range. */
import { SpielError } from "../errors.ts";
import { isObject, parseJsonObject, RandomAccessFile } from "./random_access.ts";
import { headerObjection } from "./strict_json.ts";

/** Bytes of one element, per dtype. */
export const DTYPE_BYTES = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E5M2: 1,
  F8_E4M3: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  F64: 8,
  I64: 8,
  U64: 8,
} as const;

/** A dtype that can be read and written. */
export type SafetensorsDtype = keyof typeof DTYPE_BYTES;

/** Where one tensor lies and what it holds. */
export interface SafetensorsEntry {
  dtype: SafetensorsDtype;
  shape: number[];
  /** Position of the payload in the file, in bytes. */
  byteOffset: number;
  byteLength: number;
}

/** Some 20,000 tensors; the format itself allows 100 MB, see docs/adr/0013-header-limits.md. */
export const MAX_HEADER_BYTES = 2 << 20;
const LENGTH_BYTES = 8;
/** Header, entry, and the two arrays inside an entry. */
const MAX_HEADER_DEPTH = 3;

/** An open safetensors file. */
export class SafetensorsFile implements Disposable {
  readonly path: string;
  /** In the order of their payloads. */
  readonly tensors: ReadonlyMap<string, SafetensorsEntry>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly #file: RandomAccessFile;

  private constructor(file: RandomAccessFile, header: ParsedHeader) {
    this.path = file.path;
    this.#file = file;
    this.tensors = header.tensors;
    this.metadata = header.metadata;
  }

  /**
   * Opens a file and checks its whole header.
   *
   * @throws {SpielError} kind "data" naming the file, the field, its value and what was expected.
   */
  static open(path: string): SafetensorsFile {
    const file = RandomAccessFile.open(path);
    try {
      return new SafetensorsFile(file, readHeader(file));
    } catch (error) {
      file[Symbol.dispose]();
      throw error;
    }
  }

  /** Bytes in the file. */
  get size(): number {
    return this.#file.size;
  }

  /** The entry of a tensor that must be there. */
  entry(name: string): SafetensorsEntry {
    const entry = this.tensors.get(name);
    if (entry === undefined) throw new SpielError("data", `${this.path} has no tensor "${name}"`);
    return entry;
  }

  /** Reads a whole tensor: little-endian elements in row-major order. */
  read(name: string): Uint8Array<ArrayBuffer> {
    return this.readRange(name, 0, this.entry(name).byteLength);
  }

  /** Reads `length` bytes of a tensor from `byteOffset` inside it, into a buffer where one is given. */
  readRange(
    name: string,
    byteOffset: number,
    length: number,
    into?: Uint8Array<ArrayBuffer>,
  ): Uint8Array<ArrayBuffer> {
    const entry = this.entry(name);
    if (byteOffset < 0 || length < 0 || byteOffset + length > entry.byteLength) {
      throw new SpielError(
        "data",
        `${this.path}: cannot read ${length} bytes at ${byteOffset} of "${name}", ` +
          `which has ${entry.byteLength} bytes`,
      );
    }
    return this.#file.read(entry.byteOffset + byteOffset, length, into);
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }
}

interface ParsedHeader {
  tensors: Map<string, SafetensorsEntry>;
  metadata: Record<string, string>;
}

function readHeader(file: RandomAccessFile): ParsedHeader {
  const fail = (message: string) => new SpielError("data", `${file.path}: ${message}`);
  if (file.size < LENGTH_BYTES) {
    throw fail(`the file has ${file.size} bytes; a safetensors file has at least ${LENGTH_BYTES}`);
  }
  const length = new DataView(file.read(0, LENGTH_BYTES).buffer).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw fail(`the header length is ${length}; expected at most ${MAX_HEADER_BYTES}`);
  }
  const headerBytes = Number(length);
  const dataStart = LENGTH_BYTES + headerBytes;
  if (dataStart > file.size) {
    throw fail(`the header length is ${headerBytes}, but the file has ${file.size} bytes`);
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
      .decode(file.read(LENGTH_BYTES, headerBytes));
  } catch (cause) {
    throw new SpielError("data", `${file.path}: the header is not valid UTF-8`, { cause });
  }
  if (!text.startsWith("{")) throw fail(`the header does not start with "{"`);
  const header = parseJsonObject(text, `${file.path}: the header`);
  const objection = headerObjection(text, MAX_HEADER_DEPTH);
  if (objection !== null) throw fail(`the header is not acceptable: ${objection}`);

  const metadata = parseMetadata(header.__metadata__, fail);
  const entries = Object.entries(header)
    .filter(([name]) => name !== "__metadata__")
    .map(([name, value]) => [name, parseEntry(name, value, dataStart, fail)] as const)
    .sort(([, a], [, b]) => a.byteOffset - b.byteOffset || a.byteLength - b.byteLength);
  let end = dataStart;
  for (const [name, entry] of entries) {
    if (entry.byteOffset !== end) {
      throw fail(
        `tensor "${name}" starts at data offset ${entry.byteOffset - dataStart}; ` +
          `expected ${end - dataStart}, the end of the tensor before it`,
      );
    }
    end += entry.byteLength;
  }
  if (end !== file.size) {
    throw fail(
      `the tensors end at byte ${end}, but the file has ${file.size} bytes` +
        (end > file.size ? " (truncated?)" : ""),
    );
  }
  return { tensors: new Map(entries), metadata };
}

type Fail = (message: string) => SpielError;

function parseMetadata(value: unknown, fail: Fail): Record<string, string> {
  if (value === undefined) return {};
  if (!isObject(value)) throw fail("__metadata__ is not an object");
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== "string") throw fail(`__metadata__ "${key}" is not a string`);
  }
  return value as Record<string, string>;
}

function parseEntry(name: string, value: unknown, dataStart: number, fail: Fail): SafetensorsEntry {
  if (!isObject(value)) throw fail(`tensor "${name}" is not described by an object`);
  const { dtype, shape, data_offsets: offsets, ...rest } = value;
  const unknown = Object.keys(rest)[0];
  if (unknown !== undefined) throw fail(`tensor "${name}" has the unknown field "${unknown}"`);
  if (typeof dtype !== "string" || !Object.hasOwn(DTYPE_BYTES, dtype)) {
    throw fail(
      `tensor "${name}" has dtype ${JSON.stringify(dtype)}; ` +
        `expected one of ${Object.keys(DTYPE_BYTES).join(", ")}`,
    );
  }
  if (!isIndexArray(shape)) {
    throw fail(`tensor "${name}" has shape ${JSON.stringify(shape)}; expected whole numbers`);
  }
  if (!isIndexArray(offsets) || offsets.length !== 2) {
    throw fail(
      `tensor "${name}" has data_offsets ${JSON.stringify(offsets)}; expected [begin, end]`,
    );
  }
  const [begin, end] = offsets as [number, number];
  const byteLength = shape.reduce(
    (product, size) => product * size,
    DTYPE_BYTES[dtype as SafetensorsDtype],
  );
  if (!Number.isSafeInteger(byteLength)) {
    throw fail(`tensor "${name}" has shape [${shape}], which is too large to address`);
  }
  if (end - begin !== byteLength) {
    throw fail(
      `tensor "${name}" has data_offsets [${begin}, ${end}], ${end - begin} bytes; ` +
        `expected ${byteLength} bytes for ${dtype} [${shape}]`,
    );
  }
  return { dtype: dtype as SafetensorsDtype, shape, byteOffset: dataStart + begin, byteLength };
}

function isIndexArray(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}
