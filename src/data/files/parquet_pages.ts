/**
 * Where the pages of a Parquet file's columns lie, and which rows they hold. Files need not tell, and without it a part
 * of a row group cannot be read without the whole. What pages claim is checked on the way, before they are read.
 */
import { type FileMetaData, parquetSchema, type SchemaTree } from "npm:hyparquet@1.31.5";
import { parquetHeader } from "npm:hyparquet@1.31.5/src/column.js";
import { decompressPage } from "npm:hyparquet@1.31.5/src/datapage.js";
import { readRleBitPackedHybrid } from "npm:hyparquet@1.31.5/src/encoding.js";
import type { RandomAccessFile } from "../../io/random_access.ts";
import {
  boundedCompressors,
  checkPage,
  type ColumnMetaData,
  MAX_PAGE_VALUES,
  rangeOf,
} from "./parquet_bounds.ts";
import { cutPage } from "./parquet_cuts.ts";
import { varint, zigzag } from "./thrift.ts";

/** Bytes that are read to have the header of a page, statistics of long texts included. */
const HEADER_BYTES = 64 * 1024;

/** Pages that begin with a whole row, and their rows. */
interface PageLocation {
  /** In the file, or behind its end; header included. */
  offset: number;
  size: number;
  /** First row, counted within the row group. */
  firstRow: number;
}

/** A page of a column, or a part of one, header included. */
interface Piece {
  /** What it is, or where it lies in the file. */
  source: Uint8Array | { at: number; size: number };
  /** Rows that begin in it; null for a dictionary. */
  rows: number | null;
  /** Whether it begins within a row. */
  goesOn: boolean;
}

/** Bytes that have a place behind the end of the file. */
interface Behind {
  at: number;
  size: number;
  source: Piece["source"];
}

type Header = ReturnType<typeof parquetHeader>;

/** A page as it lies in the file. */
interface Page {
  header: Header;
  /** Header included. */
  source: { at: number; size: number };
  contentAt: number;
}

/** The locations of a column's pages, as the library reads them from files that tell. */
export class PageIndexes {
  readonly #file: RandomAccessFile;
  readonly #schema: SchemaTree;
  readonly #behind: Behind[] = [];
  #end: number;

  constructor(file: RandomAccessFile, metadata: FileMetaData) {
    this.#file = file;
    this.#schema = parquetSchema(metadata);
    this.#end = file.size;
  }

  /**
   * Looks through the pages of a column that is read as a whole; the library needs no index of it then, and reads it
   * together with its neighbours, so that it has to stay where it is.
   *
   * @throws {Error} for a page that claims too much.
   */
  check(column: ColumnMetaData): void {
    for (const _ of this.#pages(column));
  }

  /**
   * Looks through the pages of a column that is read in parts. Where one is cut, all of them get places behind the end of the file, which
   * `column` then tells.
   *
   * @returns Where its index would lie in the file, behind the end; `read` has what is there.
   * @throws {Error} for a page that claims too much.
   */
  add(column: ColumnMetaData): { offset: number; length: number } {
    const pieces = [...this.#pieces(column)];
    const isCut = pieces.some(({ source }) => source instanceof Uint8Array);
    const places = pieces.map(({ source }) =>
      isCut || source instanceof Uint8Array ? this.#place(source) : source
    );
    if (isCut) moveColumn(column, pieces, places);
    const index = encodeIndex([...locationsOf(pieces, places)]);
    return { offset: this.#place(index).at, length: index.length };
  }

  /** What lies behind the end of the file; undefined for a place before it. */
  read(start: number, end: number): ArrayBuffer | undefined {
    if (start < this.#file.size) return undefined;
    const bytes = new Uint8Array(end - start);
    for (const { at, size, source } of this.#behind) {
      const [from, to] = [Math.max(start, at), Math.min(end, at + size)];
      if (from >= to) continue;
      const part = source instanceof Uint8Array
        ? source.subarray(from - at, to - at)
        : this.#file.read(source.at + from - at, to - from);
      bytes.set(part, from - start);
    }
    return bytes.buffer;
  }

  /** Gives bytes a place behind the end of the file and all that was given one. */
  #place(source: Piece["source"]): Behind {
    const size = source instanceof Uint8Array ? source.length : source.size;
    const behind = { at: this.#end, size, source };
    this.#behind.push(behind);
    this.#end += size;
    return behind;
  }

  *#pieces(column: ColumnMetaData): Generator<Piece> {
    const depth = depthOf(this.#schema, column.path_in_schema);
    for (const { header, source, contentAt } of this.#pages(column)) {
      if (header.dictionary_page_header !== undefined) {
        yield { source, rows: null, goesOn: false };
      } else {
        yield* this.#dataPieces(header, source, contentAt, column, depth);
      }
    }
  }

  *#pages(column: ColumnMetaData): Generator<Page> {
    const { start, end } = rangeOf(column);
    for (let at = start, next; at < end - 1; at = next) {
      const { header, headerLength } = this.#header(at, end);
      const contentAt = at + headerLength;
      next = contentAt + header.compressed_page_size;
      yield { header, source: { at, size: next - at }, contentAt };
    }
  }

  #header(at: number, end: number): { header: Header; headerLength: number } {
    const bytes = this.#file.read(at, Math.min(HEADER_BYTES, end - at));
    const reader = { view: new DataView(bytes.buffer), offset: 0 };
    const header = parquetHeader(reader);
    const { num_values: values = 0 } = header.data_page_header ?? header.data_page_header_v2 ??
      header.dictionary_page_header ?? {};
    const { compressed_page_size: packed, uncompressed_page_size: unpacked } = header;
    if (!(packed >= 0 && unpacked >= 0 && values >= 0)) throw new Error("a page without a size");
    if (values > MAX_PAGE_VALUES) {
      throw new Error(`a page of ${values} values; expected at most ${MAX_PAGE_VALUES}`);
    }
    checkPage(packed, unpacked);
    return { header, headerLength: reader.offset };
  }

  /** A page of values, or what it is cut into. */
  *#dataPieces(
    header: Header,
    source: Piece["source"],
    at: number,
    { codec }: ColumnMetaData,
    { repetitions, definitions }: Depth,
  ): Generator<Piece> {
    const { data_page_header: first, data_page_header_v2: second } = header;
    if (second !== undefined) return yield { source, rows: second.num_rows, goesOn: false };
    const { num_values: values = 0, encoding } = first ?? {};
    if (repetitions === 0 || values === 0) return yield { source, rows: values, goesOn: false };
    const packed = this.#file.read(at, header.compressed_page_size);
    const page = decompressPage(packed, header.uncompressed_page_size, codec, boundedCompressors);
    const cut = cutPage(page, { values, encoding, repetitions, definitions });
    for (const { bytes, rows } of cut) yield { source: bytes, rows, goesOn: false };
    if (cut.length > 0) return;
    const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
    const levels = new Uint8Array(values);
    readRleBitPackedHybrid({ view, offset: 0 }, 32 - Math.clz32(repetitions), levels);
    const rows = levels.reduce((sum, level) => level === 0 ? sum + 1 : sum, 0);
    yield { source, rows, goesOn: levels[0] !== 0 };
  }
}

/** Tells in the metadata where the pages of a column lie now. */
function moveColumn(
  column: ColumnMetaData,
  pieces: readonly Piece[],
  places: readonly { at: number; size: number }[],
): void {
  const firstPage = pieces.findIndex(({ rows }) => rows !== null);
  if (firstPage > 0) column.dictionary_page_offset = BigInt(places[0]!.at);
  column.data_page_offset = BigInt(places[firstPage]!.at);
  column.total_compressed_size = BigInt(places.reduce((sum, { size }) => sum + size, 0));
}

function* locationsOf(
  pieces: readonly Piece[],
  places: readonly { at: number; size: number }[],
): Generator<PageLocation> {
  let location: PageLocation | undefined;
  let row = 0;
  for (const [i, { rows, goesOn }] of pieces.entries()) {
    const { at, size } = places[i]!;
    if (rows === null) continue;
    if (goesOn && location !== undefined) {
      location.size += size;
    } else {
      if (location !== undefined) yield location;
      location = { offset: at, size, firstRow: row };
    }
    row += rows;
  }
  if (location !== undefined) yield location;
}

/** What of a column's path may be there several times, or not at all. */
interface Depth {
  /** How many lists a value lies in. */
  repetitions: number;
  /** How many fields of the path may be missing, or be of an empty list. */
  definitions: number;
}

function depthOf(schema: SchemaTree, path: readonly string[]): Depth {
  let [repetitions, definitions] = [0, 0];
  let node: SchemaTree | undefined = schema;
  for (const name of path) {
    node = node?.children.find(({ element }) => element.name === name);
    const type = node?.element.repetition_type;
    if (type === "REPEATED") repetitions++;
    if (type !== "REQUIRED") definitions++;
  }
  return { repetitions, definitions };
}

/** The locations in Thrift's compact form: a list in field 1, of objects with offset, size and first row. */
function encodeIndex(locations: readonly PageLocation[]): Uint8Array {
  const bytes = [0x19, 0xFC, ...varint(BigInt(locations.length))];
  for (const { offset, size, firstRow } of locations) {
    bytes.push(0x16, ...zigzag(offset), 0x15, ...zigzag(size), 0x16, ...zigzag(firstRow), 0);
  }
  bytes.push(0);
  return Uint8Array.from(bytes);
}
