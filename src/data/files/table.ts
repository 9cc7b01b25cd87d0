/**
 * Tables in text, as RFC 4180 has them: a row of names, then a record a row. A field in quotes may hold separators and
 * line breaks, and a quote as two. Rows are cut by their bytes, in chunks, and understood one by one.
 */
import { SpielError } from "../../errors.ts";
import { RandomAccessFile } from "../../io/random_access.ts";
import { RecordError } from "../../io/record_error.ts";
import {
  BLOCK_BYTES,
  BLOCK_RECORDS,
  byteOrderMark,
  bytesIn,
  type CutRecord,
  loaded,
  MAX_RECORD_BYTES,
  placeOf,
  readChunks,
  recordAt,
  textOf,
} from "./chunks.ts";
import type { Block, FileKind, RecordAt, RecordFile, RecordPlace } from "./record_file.ts";

const [NEWLINE, RETURN, QUOTE] = [0x0A, 0x0D, 0x22];

/** Where the reading of a row is; behind a quote in quotes is the end of the field, or the first of two. */
const [FIELD_START, PLAIN, QUOTED, QUOTE_IN_QUOTED] = [0, 1, 2, 3];

/** The most columns: fields of a row are strings each, which take far more memory than their text. */
const MAX_COLUMNS = 10_000;

/** A row without the break at its end. */
interface Row extends CutRecord {
  /** Where the next one begins. */
  next: number;
}

/** An open table. */
export class TableFile implements RecordFile {
  readonly #kind: Pick<FileKind, "where">;
  readonly #name: string;
  readonly #file: RandomAccessFile;
  readonly #separator: string;
  readonly #columns: readonly string[];
  /** Where the first record begins. */
  readonly #body: { line: number; start: number };

  /**
   * @param name What messages call the file.
   * @throws {SpielError} kind "data" for a row of names that is none.
   */
  constructor(kind: Pick<FileKind, "where">, path: string, name: string, separators: string) {
    this.#kind = kind;
    this.#name = name;
    this.#file = RandomAccessFile.open(path);
    try {
      const size = this.#file.size;
      const start = byteOrderMark(this.#file.read(0, Math.min(3, size)));
      this.#separator = separators[0]!;
      const head = this.#rows({ line: 1, start, end: size }).next().value ??
        { line: 1, start, end: start, next: size };
      const text = textOf(loaded(this.#file, head), this.#where(head.line));
      this.#separator = separatorOf(text, separators);
      this.#columns = this.#columnsOf(text, head.line);
      this.#body = { line: lineAfter(this.#file, head), start: head.next };
    } catch (error) {
      this.#file[Symbol.dispose]();
      throw error;
    }
  }

  async *blocks(): AsyncGenerator<Block> {
    let block: Block | undefined;
    let rows = 0;
    for (const { line, start, next } of this.#rows({ ...this.#body, end: this.#file.size })) {
      block ??= { line, start, end: next };
      block.end = next;
      if (++rows < BLOCK_RECORDS && next - block.start < BLOCK_BYTES) continue;
      yield block;
      block = undefined;
      rows = 0;
    }
    if (block !== undefined) yield block;
  }

  async *records(block: Block): AsyncGenerator<RecordAt> {
    for (const row of this.#rows(block)) {
      const record = loaded(this.#file, row);
      const place = placeOf(record);
      yield { where: this.#where(row.line), place, parse: () => this.#parse(record) };
    }
  }

  read(place: RecordPlace): Promise<Record<string, unknown>> {
    return Promise.try(() => this.#parse(loaded(this.#file, recordAt(place))));
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }

  #where(line: number): string {
    return this.#kind.where(this.#name, { line });
  }

  /** The rows of a block that are not blank. */
  *#rows({ line, start, end }: Block): Generator<Row> {
    const separator = this.#separator.charCodeAt(0);
    let row = { line, start };
    let state = FIELD_START;
    let previous = 0;
    for (const chunk of readChunks(this.#file, start, end)) {
      for (let i = 0; i < chunk.bytes.length; i++) {
        const byte = chunk.bytes[i]!;
        const at = chunk.at + i;
        if (byte === NEWLINE) line++;
        if (state === QUOTED) {
          if (byte === QUOTE) state = QUOTE_IN_QUOTED;
          else if (byte === NEWLINE && at - row.start > MAX_RECORD_BYTES) this.#neverClosed(row);
        } else if (byte === QUOTE && state !== PLAIN) state = QUOTED;
        else if (byte === separator) state = FIELD_START;
        else if (byte !== NEWLINE) state = PLAIN;
        else {
          const textEnd = previous === RETURN ? at - 1 : at;
          const bytes = bytesIn(chunk, row.start, textEnd);
          if (textEnd > row.start) yield { ...row, end: textEnd, next: at + 1, ...bytes };
          row = { line, start: at + 1 };
          state = FIELD_START;
        }
        previous = byte;
      }
    }
    if (state === QUOTED) this.#neverClosed(row);
    const textEnd = previous === RETURN ? end - 1 : end;
    if (textEnd > row.start) yield { ...row, end: textEnd, next: end };
  }

  #neverClosed({ line }: { line: number }): never {
    throw new SpielError(
      "data",
      `${this.#where(line)}: a quote that is opened here is never closed`,
    );
  }

  #columnsOf(text: string, line: number): string[] {
    const where = this.#where(line);
    if (/^sep=.?$/i.test(text)) {
      throw new SpielError(
        "data",
        `${where}: "${text}" tells programs of spreadsheets what separates fields; ` +
          "expected the names of the columns: leave that line out",
      );
    }
    const columns = fieldsOf(text, this.#separator, where);
    if (columns.length > MAX_COLUMNS) {
      throw new SpielError(
        "data",
        `${where}: more than ${MAX_COLUMNS} columns are named; expected at most as many`,
      );
    }
    const seen = new Set<string>();
    for (const name of columns) {
      if (seen.has(name)) {
        throw new SpielError("data", `${where}: the column ${JSON.stringify(name)} is named twice`);
      }
      seen.add(name);
    }
    return columns;
  }

  #parse(row: CutRecord): Record<string, unknown> {
    const where = this.#where(row.line);
    const text = textOf(row, where);
    const fields = fieldsOf(text, this.#separator, where);
    const count = this.#columns.length;
    if (fields.length !== count) {
      const more = fields.length > MAX_COLUMNS ? "at least " : "";
      throw new RecordError(
        where,
        `the row has ${more}${fields.length} field${fields.length === 1 ? "" : "s"}; ` +
          `expected ${count}, as the columns are ${this.#columns.slice(0, 12).join(", ")}`,
      );
    }
    return Object.fromEntries(this.#columns.map((name, i) => [name, fields[i]]));
  }
}

/** The line behind a row, which may have line breaks in it. */
function lineAfter(file: RandomAccessFile, { line, start, next }: Row): number {
  let breaks = 0;
  for (const byte of file.read(start, next - start)) if (byte === NEWLINE) breaks++;
  return line + breaks;
}

/** The separator of which the names' row has the most outside quotes; the first where it has none. */
function separatorOf(head: string, separators: string): string {
  const bare = head.replaceAll(/"[^"]*"/g, "");
  const count = (separator: string) => bare.split(separator).length;
  return [...separators].reduce((best, other) => count(other) > count(best) ? other : best);
}

/**
 * The fields of a row, of which no more than one beyond `MAX_COLUMNS` is looked at.
 *
 * @throws {RecordError} for text behind a closing quote.
 */
function fieldsOf(text: string, separator: string, where: string): string[] {
  const fields: string[] = [];
  for (let at = 0; at <= text.length && fields.length <= MAX_COLUMNS;) {
    if (text[at] !== '"') {
      const found = text.indexOf(separator, at);
      const end = found < 0 ? text.length : found;
      fields.push(text.slice(at, end));
      at = end + 1;
      continue;
    }
    let end = text.indexOf('"', at + 1);
    while (end >= 0 && text[end + 1] === '"') end = text.indexOf('"', end + 2);
    if (end < 0) end = text.length;
    fields.push(text.slice(at + 1, end).replaceAll('""', '"'));
    at = end + 1;
    if (at < text.length && text[at] !== separator) {
      throw new RecordError(
        where,
        `field ${fields.length} goes on behind its closing quote; expected a separator, ` +
          `and a quote inside quotes as two`,
      );
    }
    at++;
  }
  return fields;
}
