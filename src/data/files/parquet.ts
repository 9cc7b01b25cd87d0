/** Parquet: tables in columns, with lists and objects in their fields. */
import { type FileMetaData, parquetMetadataAsync, parquetReadObjects } from "npm:hyparquet@1.31.5";
import { Buffer } from "node:buffer";
import { SpielError } from "../../errors.ts";
import { RandomAccessFile } from "../../io/random_access.ts";
import { RecordError } from "../../io/record_error.ts";
import { MAX_LEVELS } from "../../io/strict_json.ts";
import { MAX_RECORD_BYTES } from "./chunks.ts";
import { NotText } from "./not_text.ts";
import { boundedCompressors, checkMetadata } from "./parquet_bounds.ts";
import { PageIndexes } from "./parquet_pages.ts";
import type { Block, FileKind, RecordAt, RecordFile, RecordPlace } from "./record_file.ts";

const SIGNATURE = [..."PAR1"].map((letter) => letter.charCodeAt(0));
/** Bytes of columns, unpacked, for which a block has room. */
const BLOCK_BYTES = 32 * 1024 * 1024;
const BLOCK_ROWS = 8 * 1024;

const UTF8 = new TextDecoder("utf-8", { fatal: true });

export const parquet: FileKind = {
  name: "Parquet",
  expected: "a table with a row per record",
  where: (name, { line }) => `${name}:row ${line}`,
  recognises: ({ bytes }) => SIGNATURE.every((byte, i) => bytes[i] === byte),
  open: async (path, name) => {
    const file = RandomAccessFile.open(path);
    try {
      return await ParquetFile.of(name, file);
    } catch (error) {
      file[Symbol.dispose]();
      throw error;
    }
  },
};

/** What the library reads from. */
interface Source {
  byteLength: number;
  slice(start: number, end?: number): ArrayBuffer;
}

class ParquetFile implements RecordFile {
  readonly #name: string;
  readonly #file: RandomAccessFile;
  readonly #source: Source;
  readonly #metadata: FileMetaData;
  readonly #pages: PageIndexes;
  /** Row groups whose pages are known. */
  readonly #known = new Set<number>();
  /** The rows that were read last, and which they are. */
  #last: { block: Block; rows: Record<string, unknown>[] } | undefined;

  private constructor(name: string, file: RandomAccessFile, metadata: FileMetaData) {
    this.#name = name;
    this.#file = file;
    this.#metadata = metadata;
    this.#pages = new PageIndexes(file, metadata);
    const bytes = sourceOf(file);
    this.#source = {
      ...bytes,
      slice: (start, end = file.size) => this.#pages.read(start, end) ?? bytes.slice(start, end),
    };
  }

  static async of(name: string, file: RandomAccessFile): Promise<ParquetFile> {
    return await told(name, async () => {
      const metadata = await parquetMetadataAsync(sourceOf(file), { geoparquet: false });
      checkMetadata(metadata, file.size);
      return new ParquetFile(name, file, metadata);
    });
  }

  async *blocks(): AsyncGenerator<Block> {
    yield* await Promise.resolve(this.#blocks());
  }

  async *records(block: Block): AsyncGenerator<RecordAt> {
    const rows = await this.#rows(block);
    for (const [i, row] of rows.entries()) {
      const place = { line: block.line + i, offset: block.start + i, length: 1 };
      const where = parquet.where(this.#name, place);
      yield { where, place, parse: () => checked(row, where) };
    }
  }

  async read({ offset }: RecordPlace): Promise<Record<string, unknown>> {
    const block = this.#last?.block ?? { line: 0, start: 0, end: 0 };
    const isAtHand = block.start <= offset && offset < block.end;
    const around = isAtHand
      ? block
      : [...this.#blocks()].find(({ start, end }) => start <= offset && offset < end);
    const rows = around === undefined ? [] : await this.#rows(around);
    const row = rows[offset - (around?.start ?? 0)];
    if (row !== undefined) return checked(row, parquet.where(this.#name, { line: offset + 1 }));
    throw new SpielError(
      "data",
      `"${this.#name}" has changed: it has no row ${offset + 1} any more`,
    );
  }

  [Symbol.dispose](): void {
    this.#last = undefined;
    this.#file[Symbol.dispose]();
  }

  /** Parts of row groups, as the library unpacks these one by one. */
  *#blocks(): Generator<Block> {
    let groupStart = 0;
    for (const { num_rows, total_byte_size } of this.#metadata.row_groups) {
      const rows = Number(num_rows);
      const parts = Math.max(
        Math.ceil(Number(total_byte_size) / BLOCK_BYTES),
        Math.ceil(rows / BLOCK_ROWS),
      );
      const length = Math.ceil(rows / parts);
      for (let at = 0; at < rows; at += length) {
        const start = groupStart + at;
        yield { line: start + 1, start, end: groupStart + Math.min(rows, at + length) };
      }
      groupStart += rows;
    }
  }

  /**
   * Checks the pages of the row groups that have rows from `start` to before `end`, and tells the library where these lie
   * where only a part of a group is read.
   */
  #learnPages(start: number, end: number): void {
    let groupStart = 0;
    for (const [index, { columns, num_rows }] of this.#metadata.row_groups.entries()) {
      const groupEnd = groupStart + Number(num_rows);
      const isRead = groupStart < end && groupEnd > start;
      const isWhole = start <= groupStart && groupEnd <= end;
      groupStart = groupEnd;
      if (!isRead || this.#known.has(index)) continue;
      for (const column of columns) {
        if (isWhole) {
          this.#pages.check(column.meta_data!);
          continue;
        }
        const { offset, length } = this.#pages.add(column.meta_data!);
        column.offset_index_offset = BigInt(offset);
        column.offset_index_length = length;
      }
      this.#known.add(index);
    }
  }

  async #rows(block: Block): Promise<Record<string, unknown>[]> {
    if (this.#last?.block.start === block.start) return this.#last.rows;
    // Two blocks at a time are not needed.
    this.#last = undefined;
    const { start, end } = block;
    const rows = await told(`${this.#name}:row ${start + 1}`, async () => {
      this.#learnPages(start, end);
      const objects = await parquetReadObjects({
        file: this.#source,
        metadata: this.#metadata,
        compressors: boundedCompressors,
        rowStart: start,
        rowEnd: end,
        useOffsetIndex: true,
        parsers: { stringFromBytes: textOf },
      });
      if (objects.length !== end - start) throw new Error(`it has ${objects.length} of its rows`);
      return objects.map(recordOf);
    });
    this.#last = { block, rows };
    return rows;
  }
}

function sourceOf(file: RandomAccessFile): Source {
  return {
    byteLength: file.size,
    slice: (start, end = file.size) => file.read(start, end - start).buffer,
  };
}

/** Runs what reads the file, and says of what it finds wrong where that is. */
async function told<Result>(where: string, read: () => Result | Promise<Result>): Promise<Result> {
  try {
    return await read();
  } catch (cause) {
    if (cause instanceof SpielError) throw cause;
    // What the library stumbles over says nothing to a person.
    const isStumble = cause instanceof TypeError || cause instanceof RangeError;
    const reason = isStumble || !(cause instanceof Error) ? "it is damaged" : cause.message;
    throw new SpielError("data", `${where}: not a sound Parquet file: ${reason}`, { cause });
  }
}

/** A row as JSON would have it. Columns that have no value in it are left out. */
function recordOf(row: Record<string, unknown>): Record<string, unknown> {
  const fields = Object.entries(row).filter(([, value]) => value !== null && value !== undefined);
  return Object.fromEntries(fields.map(([name, value]) => [name, plain(value)]));
}

/** The text of bytes; they themselves where they are none, and none where there are none. */
function textOf(bytes: Uint8Array | null | undefined): string | NotText | undefined {
  if (!bytes) return undefined;
  try {
    return UTF8.decode(bytes);
  } catch {
    return new NotText(bytes);
  }
}

/**
 * A row that is not larger than a record may be.
 *
 * @throws {RecordError} for a larger one.
 */
function checked(row: Record<string, unknown>, where: string): Record<string, unknown> {
  const bytes = textBytes(row);
  if (bytes <= MAX_RECORD_BYTES) return row;
  throw new RecordError(
    where,
    `its texts are longer than ${MAX_RECORD_BYTES} bytes, the most allowed`,
  );
}

/** Bytes of the texts in a value; what else is in it is short. */
function textBytes(value: unknown): number {
  if (typeof value === "string") return Buffer.byteLength(value);
  // Nobody learns from it.
  if (typeof value !== "object" || value === null || value instanceof NotText) return 0;
  if (ArrayBuffer.isView(value)) return 0;
  return Object.values(value).reduce((sum: number, inner) => sum + textBytes(inner), 0);
}

function plain(value: unknown, level = 1): unknown {
  if (level > MAX_LEVELS) throw new Error(`a row nests deeper than ${MAX_LEVELS} levels`);
  if (typeof value === "bigint") {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : String(value);
  }
  if (value instanceof Date) return value.toISOString();
  if (value === undefined) return null;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((inner) => plain(inner, level + 1));
  if (ArrayBuffer.isView(value) || value instanceof NotText) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, plain(inner, level + 1)]),
  );
}
