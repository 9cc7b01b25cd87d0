/** What a Parquet file may claim: its library allocates by the sizes and counts that the file tells. */
import type { FileMetaData } from "npm:hyparquet@1.31.5";
import { compressors } from "npm:hyparquet-compressors@1.1.2";

const MAX_ROWS = 2 ** 32;
/** Bytes of a row group, packed or unpacked. */
const MAX_GROUP_BYTES = 2 ** 31;
const MAX_PAGE_BYTES = 256 * 1024 * 1024;
/** Most values of a page. */
export const MAX_PAGE_VALUES = 4 * 1024 * 1024;
/** Bytes that one byte may unpack to. */
const MAX_RATIO = 1000;

type RowGroup = FileMetaData["row_groups"][number];
/** A part of a column, in one row group. */
export type ColumnMetaData = NonNullable<RowGroup["columns"][number]["meta_data"]>;
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
    // Columns without rows lie nowhere.
    if (count === 0) continue;
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

/**
 * Refuses a page that unpacks to too much.
 *
 * @throws {Error} saying how much.
 */
export function checkPage(packed: number, unpacked: number): void {
  if (unpacked <= MAX_PAGE_BYTES && unpacked <= MAX_RATIO * (packed + 1)) return;
  throw new Error(
    `a page of ${packed} bytes unpacks to ${unpacked}; expected at most ${MAX_PAGE_BYTES}, ` +
      `and ${MAX_RATIO} times as much`,
  );
}

/** The bytes of a column's pages, those of its dictionary included. */
export function rangeOf(
  { dictionary_page_offset, data_page_offset, total_compressed_size }: ColumnMetaData,
): { start: number; end: number } {
  const data = Number(data_page_offset);
  const dictionary = Number(dictionary_page_offset ?? 0);
  // Some writers have a zero for no dictionary.
  const start = dictionary > 0 && dictionary < data ? dictionary : data;
  return { start, end: start + Number(total_compressed_size) };
}
