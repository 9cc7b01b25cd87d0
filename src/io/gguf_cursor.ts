/** Sequential reads of GGUF's primitive values, each checked against what is left of the file. */
import { SpielError } from "../errors.ts";
import type { RandomAccessFile } from "./random_access.ts";

/** A metadata value. 64-bit integers outside the safe range of a number stay bigint. */
export type GgufValue = number | bigint | boolean | string | GgufValue[];

/** Real chat templates and vocabularies stay far below these; a hostile count does not. */
const MAX_STRING_BYTES = 4 * 1024 * 1024;
/** Elements of all arrays together: 262,144 tokens with scores, types and merges have 1.3 million. */
const MAX_ELEMENTS = 2 * 1024 * 1024;
const MAX_ARRAY_DEPTH = 4;
const CHUNK_BYTES = 4 * 1024 * 1024;

const STRING = 8;
const ARRAY = 9;
type Scalar = { bytes: number; read: (view: DataView, at: number) => GgufValue };
const SCALARS: ReadonlyMap<number, Scalar> = new Map([
  [0, { bytes: 1, read: (view, at) => view.getUint8(at) }],
  [1, { bytes: 1, read: (view, at) => view.getInt8(at) }],
  [2, { bytes: 2, read: (view, at) => view.getUint16(at, true) }],
  [3, { bytes: 2, read: (view, at) => view.getInt16(at, true) }],
  [4, { bytes: 4, read: (view, at) => view.getUint32(at, true) }],
  [5, { bytes: 4, read: (view, at) => view.getInt32(at, true) }],
  [6, { bytes: 4, read: (view, at) => view.getFloat32(at, true) }],
  [7, { bytes: 1, read: (view, at) => view.getUint8(at) !== 0 }],
  [10, { bytes: 8, read: (view, at) => narrow(view.getBigUint64(at, true)) }],
  [11, { bytes: 8, read: (view, at) => narrow(view.getBigInt64(at, true)) }],
  [12, { bytes: 8, read: (view, at) => view.getFloat64(at, true) }],
]);

function narrow(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** The least first byte of characters of four bytes in UTF-8, which are two units in UTF-16. */
const FOUR_BYTES = 0xF0;

/** Whether a byte of UTF-8 goes on with a character. */
function isContinuation(byte: number): boolean {
  return (byte & 0xC0) === 0x80;
}

/** The same bytes with room for at least `least`. */
function enlarged(bytes: Uint8Array, least: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(Math.max(least, 2 * bytes.length));
  larger.set(bytes);
  return larger;
}

/** Reads forward through a file's header, in large chunks. */
export class GgufCursor {
  readonly #file: RandomAccessFile;
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  #chunk = new Uint8Array(0);
  #view = new DataView(this.#chunk.buffer);
  #chunkStart = 0;
  #at = 0;
  #elements = 0;

  constructor(file: RandomAccessFile) {
    this.#file = file;
  }

  /** Position in the file, in bytes. */
  get position(): number {
    return this.#chunkStart + this.#at;
  }

  /** An error that names the file. */
  fail(message: string, cause?: unknown): SpielError {
    return new SpielError("data", `${this.#file.path}: ${message}`, { cause });
  }

  /** Reads a 32-bit unsigned integer; `what` names it when the file ends before it. */
  u32(what: string): number {
    this.#need(4, what);
    const value = this.#view.getUint32(this.#at, true);
    this.#at += 4;
    return value;
  }

  /** Reads a 64-bit unsigned integer that must not exceed `max`. */
  count(what: string, max: number): number {
    this.#need(8, what);
    const view = this.#view;
    const value = 2 ** 32 * view.getUint32(this.#at + 4, true) + view.getUint32(this.#at, true);
    if (value > max) {
      const exact = view.getBigUint64(this.#at, true);
      throw this.fail(`${what} is ${exact}; expected at most ${max}`);
    }
    this.#at += 8;
    return value;
  }

  /** Reads a length-prefixed UTF-8 string. */
  string(what: string, maxBytes = MAX_STRING_BYTES): string {
    const length = this.count(`the length of ${what}`, maxBytes);
    this.#need(length, what);
    const bytes = this.#chunk.subarray(this.#at, this.#at + length);
    this.#at += length;
    return this.#decode(bytes, what);
  }

  /** Reads a value preceded by its type number. */
  value(what: string): GgufValue {
    return this.#typed(this.u32(`the type of ${what}`), what, 0);
  }

  #typed(type: number, what: string, depth: number): GgufValue {
    if (type === STRING) return this.string(what);
    if (type === ARRAY) return this.#array(what, depth + 1);
    const scalar = this.#scalar(type, what);
    this.#need(scalar.bytes, what);
    const value = scalar.read(this.#view, this.#at);
    this.#at += scalar.bytes;
    return value;
  }

  #array(what: string, depth: number): GgufValue[] {
    if (depth > MAX_ARRAY_DEPTH) {
      throw this.fail(`${what} nests arrays deeper than ${MAX_ARRAY_DEPTH} levels`);
    }
    const type = this.u32(`the element type of ${what}`);
    const length = this.count(`the length of ${what}`, MAX_ELEMENTS - this.#elements);
    this.#elements += length;
    const isScalar = type !== STRING && type !== ARRAY;
    const leastBytes = isScalar ? this.#scalar(type, what).bytes : 8;
    if (length * leastBytes > this.#file.size - this.position) {
      throw this.fail(`${what} has ${length} elements, more than the rest of the file can hold`);
    }
    if (type === STRING) return this.#strings(length, what);
    const values = new Array<GgufValue>(length);
    for (let i = 0; i < length; i++) values[i] = this.#typed(type, what, depth);
    return values;
  }

  /** Reads strings, of which vocabularies have many short ones: they are decoded together, and cut apart. */
  #strings(length: number, what: string): string[] {
    const lengthOf = `the length of ${what}`;
    let bytes = new Uint8Array(16 * length);
    let end = 0;
    /** Of each string, where it ends in the text, in UTF-16 units. */
    const ends = new Float64Array(length);
    let units = 0;
    for (let i = 0; i < length; i++) {
      const count = this.count(lengthOf, MAX_STRING_BYTES);
      this.#need(count, what);
      if (end + count > bytes.length) bytes = enlarged(bytes, end + count);
      // One that begins inside a character could make one with the end of the string before.
      if (count > 0 && isContinuation(this.#chunk[this.#at]!)) throw this.#notUtf8(what);
      for (const last = this.#at + count; this.#at < last; this.#at++) {
        const byte = this.#chunk[this.#at]!;
        bytes[end++] = byte;
        if (!isContinuation(byte)) units += byte >= FOUR_BYTES ? 2 : 1;
      }
      ends[i] = units;
    }
    const text = this.#decode(bytes.subarray(0, end), what);
    return Array.from({ length }, (_, i) => text.slice(i === 0 ? 0 : ends[i - 1], ends[i]));
  }

  #decode(bytes: Uint8Array, what: string): string {
    try {
      return this.#decoder.decode(bytes);
    } catch (cause) {
      throw this.#notUtf8(what, cause);
    }
  }

  #notUtf8(what: string, cause?: unknown): SpielError {
    return this.fail(`${what} is not valid UTF-8`, cause);
  }

  #scalar(type: number, what: string): Scalar {
    const scalar = SCALARS.get(type);
    if (scalar === undefined) throw this.fail(`${what} has the unknown type ${type}`);
    return scalar;
  }

  /** Makes the next `length` bytes available in the chunk. */
  #need(length: number, what: string): void {
    if (this.#at + length <= this.#chunk.length) return;
    const position = this.position;
    const left = this.#file.size - position;
    if (length > left) {
      throw this.fail(
        `the file ends inside ${what}: ${length} bytes needed at ${position}, ${left} left`,
      );
    }
    this.#chunk = this.#file.read(position, Math.min(left, Math.max(length, CHUNK_BYTES)));
    this.#view = new DataView(this.#chunk.buffer);
    this.#chunkStart = position;
    this.#at = 0;
  }
}
