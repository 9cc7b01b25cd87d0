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

/** Bytes that are read to have the header of a page, statistics of long texts included. */
const HEADER_BYTES = 64 * 1024;

/** Pages that begin with a whole row, and their rows. */
interface PageLocation {
  /** In the file, header included. */
  offset: number;
  size: number;
  /** First row, counted within the row group. */
  firstRow: number;
}

type Header = ReturnType<typeof parquetHeader>;

/** The locations of a column's pages, as the library reads them from files that tell. */
export class PageIndexes {
  readonly #file: RandomAccessFile;
  readonly #schema: SchemaTree;
  readonly #indexes = new Map<number, ArrayBuffer>();
  #end: number;

  constructor(file: RandomAccessFile, metadata: FileMetaData) {
    this.#file = file;
    this.#schema = parquetSchema(metadata);
    this.#end = file.size;
  }

  /**
   * Looks through the pages of a column.
   *
   * @returns Where its index would lie in the file, behind the end; `read` has what is there.
   * @throws {Error} for a page that claims too much.
   */
  add(column: ColumnMetaData): { offset: number; length: number } {
    const index = encodeIndex([...this.#locate(column)]);
    const place = { offset: this.#end, length: index.byteLength };
    this.#indexes.set(place.offset, index);
    this.#end += index.byteLength;
    return place;
  }

  /** The index at a place behind the end of the file; undefined for any other. */
  read(offset: number): ArrayBuffer | undefined {
    return this.#indexes.get(offset);
  }

  *#locate(column: ColumnMetaData): Generator<PageLocation> {
    const depth = repetitionDepth(this.#schema, column.path_in_schema);
    let location: PageLocation | undefined;
    let row = 0;
    const { start, end } = rangeOf(column);
    for (let at = start, next; at < end - 1; at = next) {
      const { header, headerLength } = this.#header(at, end);
      next = at + headerLength + header.compressed_page_size;
      if (header.dictionary_page_header !== undefined) continue;
      const { rows, goesOn } = this.#rowsOf(header, at + headerLength, column, depth);
      if (goesOn && location !== undefined) {
        location.size += next - at;
      } else {
        if (location !== undefined) yield location;
        location = { offset: at, size: next - at, firstRow: row };
      }
      row += rows;
    }
    if (location !== undefined) yield location;
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

  /** Rows that begin in a page, and whether it begins within one. */
  #rowsOf(
    header: Header,
    at: number,
    { codec }: ColumnMetaData,
    depth: number,
  ): { rows: number; goesOn: boolean } {
    const { data_page_header: first, data_page_header_v2: second } = header;
    if (second !== undefined) return { rows: second.num_rows, goesOn: false };
    const values = first?.num_values ?? 0;
    if (depth === 0 || values === 0) return { rows: values, goesOn: false };
    const packed = this.#file.read(at, header.compressed_page_size);
    const page = decompressPage(packed, header.uncompressed_page_size, codec, boundedCompressors);
    const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
    const levels = new Uint8Array(values);
    readRleBitPackedHybrid({ view, offset: 0 }, 32 - Math.clz32(depth), levels);
    return {
      rows: levels.reduce((sum, level) => level === 0 ? sum + 1 : sum, 0),
      goesOn: levels[0] !== 0,
    };
  }
}

/** How many lists a value of a column lies in. */
function repetitionDepth(schema: SchemaTree, path: readonly string[]): number {
  let depth = 0;
  let node: SchemaTree | undefined = schema;
  for (const name of path) {
    node = node?.children.find(({ element }) => element.name === name);
    if (node?.element.repetition_type === "REPEATED") depth++;
  }
  return depth;
}

/** The locations in Thrift's compact form: a list in field 1, of objects with offset, size and first row. */
function encodeIndex(locations: readonly PageLocation[]): ArrayBuffer {
  const bytes = [0x19, 0xFC, ...varint(BigInt(locations.length))];
  for (const { offset, size, firstRow } of locations) {
    bytes.push(0x16, ...zigzag(offset), 0x15, ...zigzag(size), 0x16, ...zigzag(firstRow), 0);
  }
  bytes.push(0);
  return Uint8Array.from(bytes).buffer;
}

/** A number that is not negative. */
function zigzag(value: number): number[] {
  return varint(BigInt(value) * 2n);
}

function varint(value: bigint): number[] {
  const bytes: number[] = [];
  for (; value >= 0x80n; value >>= 7n) bytes.push(Number(value & 0x7Fn) | 0x80);
  return [...bytes, Number(value)];
}
