/** JSON Lines: one object per line. Read in chunks, whatever the size of the file. */
import { isObject, RandomAccessFile } from "../../io/random_access.ts";
import { RecordError } from "../../io/record_error.ts";
import { repeatedKey } from "../../io/strict_json.ts";
import { otherFile } from "./other_files.ts";
import type { Block, FileKind, RecordAt, RecordFile, RecordPlace } from "./record_file.ts";

/** The longest record, in bytes; a longer one is a mistake in the file. */
export const MAX_RECORD_BYTES = 8 * 1024 * 1024;
/** A block ends with the line that reaches one of these. */
const BLOCK_BYTES = 4 * 1024 * 1024;
const BLOCK_LINES = 16 * 1024;
const CHUNK_BYTES = 1024 * 1024;
const NEWLINE = 0x0A;
/** Tab, line feed, carriage return and space. */
const WHITE_SPACE: ReadonlySet<number> = new Set([0x09, NEWLINE, 0x0D, 0x20]);
const BYTE_ORDER_MARK = [0xEF, 0xBB, 0xBF];

export const jsonLines: FileKind = {
  name: "JSON Lines",
  expected: "JSON Lines, one object per line",
  where: (name, { line }) => `${name}:${line}`,
  // Lines that are no objects are told one by one.
  recognises: (head) => otherFile(head) === null,
  open: (path, name) => Promise.try(() => new JsonLinesFile(name, RandomAccessFile.open(path))),
};

class JsonLinesFile implements RecordFile {
  readonly #name: string;
  readonly #file: RandomAccessFile;

  constructor(name: string, file: RandomAccessFile) {
    this.#name = name;
    this.#file = file;
  }

  async *blocks(): AsyncGenerator<Block> {
    let start = 0;
    let line = 1;
    let lines = 0;
    for (let at = 0; at < this.#file.size; at += CHUNK_BYTES) {
      const chunk = this.#file.read(at, Math.min(CHUNK_BYTES, this.#file.size - at));
      for (let i = -1; (i = chunk.indexOf(NEWLINE, i + 1)) >= 0;) {
        lines++;
        const end = at + i + 1;
        if (end - start < BLOCK_BYTES && lines < BLOCK_LINES) continue;
        yield { line, start, end };
        start = end;
        line += lines;
        lines = 0;
      }
    }
    if (start < this.#file.size) yield { line, start, end: this.#file.size };
  }

  async *records(block: Block): AsyncGenerator<RecordAt> {
    let line = block.line - 1;
    for (const { bytes, offset } of readLines(this.#file, block)) {
      line++;
      if (bytes?.every((byte) => WHITE_SPACE.has(byte))) continue;
      const place = { line, offset, length: bytes?.length ?? 0 };
      const where = jsonLines.where(this.#name, place);
      yield { where, place, parse: () => parseLine(bytes, where) };
    }
  }

  read(place: RecordPlace): Promise<Record<string, unknown>> {
    const where = jsonLines.where(this.#name, place);
    return Promise.try(() => parseLine(this.#file.read(place.offset, place.length), where));
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }
}

/** A line; null in the place of bytes that are too many. */
interface Line {
  bytes: Uint8Array | null;
  /** In the file. */
  offset: number;
}

/** The lines of a block. A byte order mark at the file's begin is passed over. */
function* readLines(file: RandomAccessFile, block: Block): Generator<Line> {
  // The unfinished line at the end of what has been read; null once it is too long.
  let rest: Uint8Array<ArrayBuffer> | null = new Uint8Array(0);
  let offset = block.start;
  for (let at = block.start; at < block.end; at += CHUNK_BYTES) {
    const chunk = file.read(at, Math.min(CHUNK_BYTES, block.end - at));
    let start = at === 0 && BYTE_ORDER_MARK.every((byte, i) => chunk[i] === byte) ? 3 : 0;
    if (start > 0) offset = start;
    for (let end; (end = chunk.indexOf(NEWLINE, start)) >= 0; start = end + 1) {
      yield { bytes: joined(rest, chunk.subarray(start, end)), offset };
      offset = at + end + 1;
      rest = new Uint8Array(0);
    }
    rest = joined(rest, chunk.subarray(start));
  }
  if (rest === null || rest.length > 0) yield { bytes: rest, offset };
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
