/** What the kinds of text files share: reading in chunks, and how much a record and a block may have. */
import type { RandomAccessFile } from "../../io/random_access.ts";
import { RecordError } from "../../io/record_error.ts";
import type { RecordPlace } from "./record_file.ts";

/** The longest record, in bytes; a longer one is a mistake in the file. */
export const MAX_RECORD_BYTES = 8 * 1024 * 1024;
/** A block ends with the record that reaches one of these. */
export const BLOCK_BYTES = 1024 * 1024;
export const BLOCK_RECORDS = 8 * 1024;
/** Bytes that are read at once. */
export const CHUNK_BYTES = 1024 * 1024;

/** A part of a file. */
export interface Chunk {
  bytes: Uint8Array<ArrayBuffer>;
  /** Where it begins in the file. */
  at: number;
}

/** The bytes from `start` to before `end`, a chunk at a time. */
export function* readChunks(file: RandomAccessFile, start: number, end: number): Generator<Chunk> {
  for (let at = start; at < end; at += CHUNK_BYTES) {
    yield { bytes: file.read(at, Math.min(CHUNK_BYTES, end - at)), at };
  }
}

/** How many bytes of a byte order mark a file begins with. */
export function byteOrderMark(bytes: Uint8Array): number {
  return bytes[0] === 0xEF && bytes[1] === 0xBB && bytes[2] === 0xBF ? 3 : 0;
}

/** A record as it is cut from a file. */
export interface CutRecord {
  /** Line or row, from 1. */
  line: number;
  start: number;
  end: number;
  /** Its bytes, where they are at hand. */
  bytes?: Uint8Array;
}

/** Its place, for what is kept of it. */
export function placeOf({ line, start, end }: CutRecord): RecordPlace {
  return { line, offset: start, length: end - start };
}

/** The record at a place. */
export function recordAt({ line, offset, length }: RecordPlace): CutRecord {
  return { line, start: offset, end: offset + length };
}

/** The part of a chunk from `start` to before `end`, for a record that lies in it as a whole. */
export function bytesIn({ bytes, at }: Chunk, start: number, end: number): { bytes?: Uint8Array } {
  return start < at ? {} : { bytes: bytes.subarray(start - at, end - at) };
}

/** The record with its bytes, unless it is too long to be one. */
export function loaded(file: RandomAccessFile, record: CutRecord): CutRecord {
  const length = record.end - record.start;
  if (record.bytes !== undefined || length > MAX_RECORD_BYTES) return record;
  return { ...record, bytes: file.read(record.start, length) };
}

/**
 * The text of a loaded record.
 *
 * @throws {RecordError} when it is too long, or no UTF-8.
 */
export function textOf({ start, end, bytes }: CutRecord, where: string): string {
  if (bytes === undefined || end - start > MAX_RECORD_BYTES) {
    throw new RecordError(where, `longer than ${MAX_RECORD_BYTES} bytes, the most allowed`);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    const hint = "if a program on Windows wrote it, iconv -f CP1252 -t UTF-8 converts it";
    throw new RecordError(where, `not valid UTF-8 text; ${hint}`, { cause });
  }
}
