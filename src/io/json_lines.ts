/** Reads JSON Lines files one record at a time, whatever their size. */
import { isObject, RandomAccessFile } from "./random_access.ts";
import { RecordError } from "./record_error.ts";
import { repeatedKey } from "./strict_json.ts";

/** The longest record, in bytes; a longer one is a mistake in the file. */
export const MAX_RECORD_BYTES = 8 * 1024 * 1024;
const CHUNK_BYTES = 1024 * 1024;
const NEWLINE = 0x0A;
/** Tab, line feed, carriage return and space. */
const WHITE_SPACE: ReadonlySet<number> = new Set([0x09, NEWLINE, 0x0D, 0x20]);
const BYTE_ORDER_MARK = [0xEF, 0xBB, 0xBF];

/** Where a record stands in its file. */
export interface LinePlace {
  /** From 1. */
  line: number;
  /** Position of the record in the file, in bytes. */
  byteOffset: number;
  byteLength: number;
}

/** One line that is not blank. */
export interface JsonLine {
  /** File and line. */
  where: string;
  place: LinePlace;
  /**
   * The line's object.
   *
   * @throws {RecordError} when it is no JSON object, names a field twice, or is too long.
   */
  parse(): Record<string, unknown>;
}

/** A line; null in the place of bytes that are too many. */
interface Line {
  bytes: Uint8Array | null;
  byteOffset: number;
}

/** Yields the lines of a file. Blank ones are passed over, a byte order mark too. */
export function* readJsonLines(path: string): Generator<JsonLine> {
  using file = RandomAccessFile.open(path);
  let line = 0;
  for (const { bytes, byteOffset } of readLines(file)) {
    line++;
    const where = `${path}:${line}`;
    if (bytes?.every((byte) => WHITE_SPACE.has(byte))) continue;
    const place = { line, byteOffset, byteLength: bytes?.length ?? 0 };
    yield { where, place, parse: () => parseLine(bytes, where) };
  }
}

/**
 * Reads one record again, by the place that `readJsonLines` gave.
 *
 * @throws {RecordError} when the file has changed so that it is no record any more.
 */
export function readJsonLine(
  path: string,
  { line, byteOffset, byteLength }: LinePlace,
): Record<string, unknown> {
  using file = RandomAccessFile.open(path);
  return parseLine(file.read(byteOffset, byteLength), `${path}:${line}`);
}

function* readLines(file: RandomAccessFile): Generator<Line> {
  // The unfinished line at the end of what has been read; null once it is too long.
  let rest: Uint8Array<ArrayBuffer> | null = new Uint8Array(0);
  let byteOffset = 0;
  for (let at = 0; at < file.size; at += CHUNK_BYTES) {
    const chunk = file.read(at, Math.min(CHUNK_BYTES, file.size - at));
    let start = at === 0 && BYTE_ORDER_MARK.every((byte, i) => chunk[i] === byte) ? 3 : 0;
    if (start > 0) byteOffset = start;
    for (let end; (end = chunk.indexOf(NEWLINE, start)) >= 0; start = end + 1) {
      yield { bytes: joined(rest, chunk.subarray(start, end)), byteOffset };
      byteOffset = at + end + 1;
      rest = new Uint8Array(0);
    }
    rest = joined(rest, chunk.subarray(start));
  }
  if (rest === null || rest.length > 0) yield { bytes: rest, byteOffset };
}

function joined(
  head: Uint8Array | null,
  tail: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> | null {
  if (head === null || head.length + tail.length > MAX_RECORD_BYTES) return null;
  if (head.length === 0) return tail;
  const whole = new Uint8Array(head.length + tail.length);
  whole.set(head);
  whole.set(tail, head.length);
  return whole;
}

function parseLine(bytes: Uint8Array | null, where: string): Record<string, unknown> {
  if (bytes === null) {
    throw new RecordError(where, `longer than ${MAX_RECORD_BYTES} bytes, the most allowed`);
  }
  const text = decode(bytes, where);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new RecordError(where, `not valid JSON: ${complaintOf(cause)}`, { cause });
  }
  if (!isObject(value)) throw new RecordError(where, "not a JSON object");
  const twice = repeatedKey(text);
  if (twice !== null) throw new RecordError(where, `the field ${twice} is given twice`);
  return value;
}

function decode(bytes: Uint8Array, where: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new RecordError(where, "not valid UTF-8 text", { cause });
  }
}

/** What `JSON.parse` complains of; its line, which is always 1 here, would be taken for the file's. */
function complaintOf(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  return message.replace(/ is not valid JSON$/, "")
    .replace(/(?: in JSON)? at position \d+ \(line 1 column (\d+)\)$/, " at column $1");
}
