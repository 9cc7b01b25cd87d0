/** What a Parquet file may claim: its library allocates by the sizes and counts that the file tells. */
import type { FileMetaData } from "npm:hyparquet@1.31.5";
import { parquetHeader } from "npm:hyparquet@1.31.5/src/column.js";
import { compressors } from "npm:hyparquet-compressors@1.1.2";
import type { RandomAccessFile } from "../../io/random_access.ts";

const MAX_ROWS = 2 ** 32;
/** Bytes of a row group, packed or unpacked. */
const MAX_GROUP_BYTES = 2 ** 31;
const MAX_PAGE_BYTES = 256 * 1024 * 1024;
const MAX_PAGE_VALUES = 4 * 1024 * 1024;
/** Bytes that one byte may unpack to. */
const MAX_RATIO = 1000;
/** Bytes that are read to have the header of a page, statistics of long texts included. */
const HEADER_BYTES = 64 * 1024;

type RowGroup = FileMetaData["row_groups"][number];
type Compressors = typeof compressors;

/** As those of the library, each refusing what unpacks to too much before it begins. */
export const boundedCompressors: Compressors = Object.fromEntries(
  Object.entries(compressors).map(([codec, unpack]) => [
    codec,
    (input: Uint8Array, outputLength: number) => {
      checkPage(input.length, outputLength);
      // The library's LZ4 fails for an empty page.
      return outputLength === 0 ? new Uint8Array(0) : unpack!(input, outputLength);
    },
  ]),
);

/**
 * Refuses counts and places that no sound file has.
 *
 * @throws {Error} saying which.
 */
export function checkMetadata({ row_groups: groups, num_rows }: FileMetaData, size: number): void {
  let rows = 0;
  for (const [index, group] of groups.entries()) {
    const count = Number(group.num_rows);
    rows += count;
    if (!(count >= 0 && rows <= MAX_ROWS)) throw new Error(`row group ${index} has ${count} rows`);
    const bytes = Number(group.total_byte_size);
    if (!(bytes >= 0 && bytes <= MAX_GROUP_BYTES)) {
      throw new Error(
        `row group ${index} has ${bytes} bytes; expected at most ${MAX_GROUP_BYTES}: ` +
          `write it in smaller row groups`,
      );
    }
    for (const { meta_data: column } of group.columns) {
      if (column === undefined) throw new Error(`row group ${index} has a column in another file`);
      const { start, end } = rangeOf(column);
      if (!(start >= 4 && start <= end && end <= size)) {
        const name = column.path_in_schema.join(".");
        throw new Error(`column ${name} lies at bytes ${start} to ${end}, of a file of ${size}`);
      }
    }
  }
  if (rows !== Number(num_rows)) throw new Error(`its groups have ${rows} rows, of ${num_rows}`);
}

/** Looks at the headers of pages before these are read. */
export class PageChecker {
  readonly #file: RandomAccessFile;
  readonly #groups: readonly RowGroup[];
  readonly #checked = new Set<number>();

  constructor(file: RandomAccessFile, { row_groups }: FileMetaData) {
    this.#file = file;
    this.#groups = row_groups;
  }

  /**
   * Checks the pages of all groups that have rows from `start` to before `end`.
   *
   * @throws {Error} for a page that claims too much.
   */
  check(start: number, end: number): void {
    let groupStart = 0;
    for (const [index, group] of this.#groups.entries()) {
      const groupEnd = groupStart + Number(group.num_rows);
      if (groupStart < end && groupEnd > start && !this.#checked.has(index)) {
        for (const { meta_data: column } of group.columns) this.#checkColumn(column!);
        this.#checked.add(index);
      }
      groupStart = groupEnd;
    }
  }

  #checkColumn(column: NonNullable<RowGroup["columns"][number]["meta_data"]>): void {
    const { start, end } = rangeOf(column);
    for (let at = start; at < end - 1;) {
      const bytes = this.#file.read(at, Math.min(HEADER_BYTES, end - at));
      const reader = { view: new DataView(bytes.buffer), offset: 0 };
      const page = parquetHeader(reader);
      const { num_values: values = 0 } = page.data_page_header ?? page.data_page_header_v2 ??
        page.dictionary_page_header ?? {};
      const { compressed_page_size: packed, uncompressed_page_size: unpacked } = page;
      if (!(packed >= 0 && unpacked >= 0 && values >= 0)) throw new Error("a page without a size");
      if (values > MAX_PAGE_VALUES) {
        throw new Error(`a page of ${values} values; expected at most ${MAX_PAGE_VALUES}`);
      }
      checkPage(packed, unpacked);
      at += reader.offset + packed;
    }
  }
}

function checkPage(packed: number, unpacked: number): void {
  if (unpacked <= MAX_PAGE_BYTES && unpacked <= MAX_RATIO * (packed + 1)) return;
  throw new Error(
    `a page of ${packed} bytes unpacks to ${unpacked}; expected at most ${MAX_PAGE_BYTES}, ` +
      `and ${MAX_RATIO} times as much`,
  );
}

function rangeOf(
  { dictionary_page_offset, data_page_offset, total_compressed_size }: NonNullable<
    RowGroup["columns"][number]["meta_data"]
  >,
): { start: number; end: number } {
  const data = Number(data_page_offset);
  const dictionary = Number(dictionary_page_offset ?? 0);
  // Some writers have a zero for no dictionary.
  const start = dictionary > 0 && dictionary < data ? dictionary : data;
  return { start, end: start + Number(total_compressed_size) };
}
