/** Walks over the brackets, commas and colons of JSON, outside its texts, whatever its size. */
import { CHUNK_BYTES } from "./chunks.ts";

/** Bytes of JSON's own signs. */
export const SIGN = {
  quote: 0x22,
  comma: 0x2C,
  colon: 0x3A,
  openList: 0x5B,
  closeList: 0x5D,
  openObject: 0x7B,
  closeObject: 0x7D,
} as const;

const BACKSLASH = 0x5C;
const SIGNS: ReadonlySet<number> = new Set(Object.values(SIGN));

/** Where bytes come from: a file, or what was read of it. */
export interface ByteSource {
  readonly size: number;
  read(offset: number, length: number): Uint8Array;
}

/** A cursor that stands on a sign. It does not judge whether the signs make sense. */
export class JsonStructure {
  /** The sign: a bracket, comma, colon, or the quote that ends a text. */
  sign = 0;
  /** Where it is. */
  at = -1;
  /** Where the text begins that the sign ends, if it is a quote. */
  textStart = -1;
  /** Whether anything but white space stands between the sign and the one before. */
  isApart = false;
  readonly #source: ByteSource;
  readonly #end: number;
  #chunk: Uint8Array = new Uint8Array(0);
  #chunkAt: number;
  #next: number;

  constructor(source: ByteSource, start: number, end: number = source.size) {
    this.#source = source;
    this.#end = end;
    this.#chunkAt = start;
    this.#next = start;
  }

  /** Goes to the next sign; false where there is none, or a text has no end. */
  advance(): boolean {
    this.isApart = false;
    let inText = false;
    for (let byte; (byte = this.#take()) >= 0;) {
      if (inText) {
        if (byte === BACKSLASH) this.#take();
        else if (byte === SIGN.quote) return this.#stop(byte);
      } else if (byte === SIGN.quote) {
        inText = true;
        this.textStart = this.#next - 1;
      } else if (SIGNS.has(byte)) return this.#stop(byte);
      else if (byte > 0x20) this.isApart = true;
    }
    return false;
  }

  /** The bytes from `start` to before `end`, where they are at hand. */
  bytes(start: number, end: number): { bytes?: Uint8Array } {
    if (start < this.#chunkAt) return {};
    return { bytes: this.#chunk.subarray(start - this.#chunkAt, end - this.#chunkAt) };
  }

  #stop(sign: number): true {
    this.sign = sign;
    this.at = this.#next - 1;
    return true;
  }

  /** The next byte, or -1. */
  #take(): number {
    let offset = this.#next - this.#chunkAt;
    if (offset >= this.#chunk.length) {
      if (this.#next >= this.#end) return -1;
      this.#chunkAt = this.#next;
      const length = Math.min(CHUNK_BYTES, this.#end - this.#next);
      this.#chunk = this.#source.read(this.#next, length);
      offset = 0;
    }
    this.#next++;
    return this.#chunk[offset]!;
  }
}
