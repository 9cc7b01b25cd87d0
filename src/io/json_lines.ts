/** Reads JSON Lines files one record at a time, whatever their size. */
import { SpielError } from "../errors.ts";
import { parseJsonObject, RandomAccessFile } from "./random_access.ts";

/** The longest record, in bytes; a longer one is a mistake in the file. */
export const MAX_RECORD_BYTES = 8 * 1024 * 1024;
const CHUNK_BYTES = 1024 * 1024;
const NEWLINE = 0x0A;

/** One record and where it stands. */
export interface JsonLine {
  /** From 1. */
  line: number;
  /** Position of the record in the file, in bytes. */
  byteOffset: number;
  byteLength: number;
  record: Record<string, unknown>;
}

/**
 * Yields the objects of a file, one per line. Blank lines are passed over.
 *
 * @throws {SpielError} kind "data" naming file and line of a record that is no JSON object or too long.
 */
export function* readJsonLines(path: string): Generator<JsonLine> {
  using file = RandomAccessFile.open(path);
  let line = 0;
  for (const { bytes, byteOffset } of readLines(file)) {
    line++;
    const where = `${path}:${line}`;
    if (bytes.length > MAX_RECORD_BYTES) throw tooLong(where);
    const text = decode(bytes, where);
    if (text.trim() === "") continue;
    const record = parseJsonObject(text, where);
    yield { line, byteOffset, byteLength: bytes.length, record };
  }
}

/** Reads one record again, by the position that `readJsonLines` gave. */
export function readJsonLine(
  path: string,
  at: Pick<JsonLine, "line" | "byteOffset" | "byteLength">,
): Record<string, unknown> {
  using file = RandomAccessFile.open(path);
  const where = `${path}:${at.line}`;
  return parseJsonObject(decode(file.read(at.byteOffset, at.byteLength), where), where);
}

function* readLines(file: RandomAccessFile): Generator<{ bytes: Uint8Array; byteOffset: number }> {
  // The unfinished line at the end of what has been read.
  let rest = new Uint8Array(0);
  let byteOffset = 0;
  let line = 1;
  for (let at = 0; at < file.size; at += CHUNK_BYTES) {
    const chunk = file.read(at, Math.min(CHUNK_BYTES, file.size - at));
    const buffer = new Uint8Array(rest.length + chunk.length);
    buffer.set(rest);
    buffer.set(chunk, rest.length);
    let start = 0;
    for (let end; (end = buffer.indexOf(NEWLINE, start)) >= 0; start = end + 1) {
      yield { bytes: buffer.subarray(start, end), byteOffset };
      byteOffset += end + 1 - start;
      line++;
    }
    rest = buffer.slice(start);
    if (rest.length > MAX_RECORD_BYTES) throw tooLong(`${file.path}:${line}`);
  }
  if (rest.length > 0) yield { bytes: rest, byteOffset };
}

function decode(bytes: Uint8Array, where: string): string {
  try {
    // A byte order mark at the start of the file is dropped here.
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new SpielError("data", `${where} is not valid UTF-8 text`, { cause });
  }
}

function tooLong(where: string): SpielError {
  return new SpielError(
    "data",
    `${where} is longer than ${MAX_RECORD_BYTES} bytes, the most allowed`,
  );
}
