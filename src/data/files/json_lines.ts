/** JSON Lines: one object per line. Read in chunks, whatever the size of the file. */
import { RandomAccessFile } from "../../io/random_access.ts";
import {
  BLOCK_BYTES,
  BLOCK_RECORDS,
  byteOrderMark,
  bytesIn,
  type CutRecord,
  loaded,
  placeOf,
  readChunks,
  recordAt,
  textOf,
} from "./chunks.ts";
import { otherText } from "./other_files.ts";
import { parseRecord } from "./parse_record.ts";
import type { Block, FileKind, RecordAt, RecordFile, RecordPlace } from "./record_file.ts";

const NEWLINE = 0x0A;
/** Tab, line feed, carriage return and space. */
const WHITE_SPACE: ReadonlySet<number> = new Set([0x09, NEWLINE, 0x0D, 0x20]);

export const jsonLines: FileKind = {
  name: "JSON Lines",
  expected: "JSON Lines, one object per line",
  where: (name, { line }) => `${name}:${line}`,
  // Lines that are no objects are told one by one.
  recognises: (head) => otherText(head) === null,
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
    let block = { line: 1, start: 0 };
    let lines = 0;
    for (const { bytes, at } of readChunks(this.#file, 0, this.#file.size)) {
      for (let i = -1; (i = bytes.indexOf(NEWLINE, i + 1)) >= 0;) {
        lines++;
        const end = at + i + 1;
        if (end - block.start < BLOCK_BYTES && lines < BLOCK_RECORDS) continue;
        yield { ...block, end };
        block = { line: block.line + lines, start: end };
        lines = 0;
      }
    }
    if (block.start < this.#file.size) yield { ...block, end: this.#file.size };
  }

  async *records(block: Block): AsyncGenerator<RecordAt> {
    for (const line of linesOf(this.#file, block)) {
      const record = loaded(this.#file, line);
      if (record.bytes?.every((byte) => WHITE_SPACE.has(byte))) continue;
      const place = placeOf(record);
      const where = jsonLines.where(this.#name, place);
      yield { where, place, parse: () => this.#parse(record), json: () => textOf(record, where) };
    }
  }

  read(place: RecordPlace): Promise<Record<string, unknown>> {
    return Promise.try(() => this.#parse(loaded(this.#file, recordAt(place))));
  }

  #parse(record: CutRecord): Record<string, unknown> {
    const where = jsonLines.where(this.#name, record);
    return parseRecord(textOf(record, where), where);
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }
}

/** The lines of a block. A byte order mark at the file's begin is passed over. */
function* linesOf(file: RandomAccessFile, block: Block): Generator<CutRecord> {
  let { line, start } = block;
  for (const chunk of readChunks(file, block.start, block.end)) {
    if (chunk.at === 0) start = byteOrderMark(chunk.bytes);
    for (
      let i = start - chunk.at - 1;
      (i = chunk.bytes.indexOf(NEWLINE, Math.max(0, i + 1))) >= 0;
    ) {
      const end = chunk.at + i;
      yield { line: line++, start, end, ...bytesIn(chunk, start, end) };
      start = end + 1;
    }
  }
  if (start < block.end) yield { line, start, end: block.end };
}
