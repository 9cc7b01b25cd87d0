/**
 * Cuts pages of the first version, of lists that have very many values, such as the roles of all conversations of a row
 * group, which take a bit each: for any part of its rows such a page would be unpacked whole. What is cut out is a page
 * of its own, of the second version and not compressed. Pages that were written in the second version are taken whole.
 */
import { readRleBitPackedHybrid } from "npm:hyparquet@1.31.5/src/encoding.js";
import { zigzag } from "./thrift.ts";

/** A page with more values is cut, into pages of about as many. */
const MOST_VALUES = 16 * 1024;

/** Thrift's compact form of what a page's header has, and Parquet's numbers in it. */
const [INTEGER, STRUCT, FALSE, STOP] = [0x15, 0x5C, 0x12, 0x00];
const [DATA_PAGE_V2, RLE_DICTIONARY] = [3, 8];

/** What is known of a page of the first version. */
export interface CutOptions {
  /** Values, those that are null or an empty list included. */
  readonly values: number;
  readonly encoding: string | undefined;
  /** How many lists a value lies in; at least one. */
  readonly repetitions: number;
  /** How many of the fields on its path may be missing. */
  readonly definitions: number;
}

/** A page that was cut out of another; it begins with a whole row. */
export interface CutPage {
  /** Header and content. */
  readonly bytes: Uint8Array;
  readonly rows: number;
}

/**
 * The pages to take in the place of one; none where it is small enough, begins within a row, or has other values than
 * those of a dictionary, which take so much room that a page has few.
 *
 * @param page Unpacked.
 */
export function cutPage(page: Uint8Array, options: CutOptions): CutPage[] {
  const { values, encoding, repetitions, definitions } = options;
  const isDictionary = encoding === "RLE_DICTIONARY" || encoding === "PLAIN_DICTIONARY";
  if (values <= MOST_VALUES || !isDictionary) return [];
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  const reader = { view, offset: 0 };
  const levels = (most: number): Uint8Array => {
    const read = new Uint8Array(values);
    if (most > 0) readRleBitPackedHybrid(reader, widthOf(most), read);
    return read;
  };
  const [repeated, defined] = [levels(repetitions), levels(definitions)];
  if (repeated[0] !== 0) return [];
  const isThere = (i: number) => defined[i] === definitions;
  const indices = new Uint32Array(defined.reduce((sum, _, i) => isThere(i) ? sum + 1 : sum, 0));
  const width = view.getUint8(reader.offset++);
  if (width > 0) readRleBitPackedHybrid(reader, width, indices, view.byteLength - reader.offset);
  const pages: CutPage[] = [];
  let index = 0;
  for (let start = 0, end; start < values; start = end) {
    end = Math.min(start + MOST_VALUES, values);
    while (end < values && repeated[end] !== 0) end++;
    const firstIndex = index;
    let rows = 0;
    for (let i = start; i < end; i++) {
      if (repeated[i] === 0) rows++;
      if (isThere(i)) index++;
    }
    const parts = [
      bitPacked(repeated.subarray(start, end), widthOf(repetitions)),
      definitions === 0
        ? new Uint8Array()
        : bitPacked(defined.subarray(start, end), widthOf(definitions)),
      Uint8Array.of(width),
      bitPacked(indices.subarray(firstIndex, index), width),
    ] as const;
    const counts = { values: end - start, nulls: end - start - (index - firstIndex), rows };
    pages.push({ bytes: pageOf(parts, counts), rows });
  }
  return pages;
}

/** Bits that the levels up to one take. */
function widthOf(most: number): number {
  return 32 - Math.clz32(most);
}

/** A single run of values in so many bits each, filled up to a multiple of eight values. */
function bitPacked(values: Uint8Array | Uint32Array, width: number): Uint8Array {
  const groups = Math.ceil(values.length / 8);
  const header = zigzag(groups);
  // A run's header is its number of groups, doubled, and a one for this kind of run.
  header[0]! |= 1;
  const bytes = new Uint8Array(header.length + groups * width);
  bytes.set(header);
  let bit = 8 * header.length;
  for (const value of values) {
    for (let i = 0; i < width; i++, bit++) {
      if (value >>> i & 1) bytes[bit >> 3]! |= 1 << (bit & 7);
    }
  }
  return bytes;
}

function pageOf(
  parts: readonly [repeated: Uint8Array, defined: Uint8Array, ...values: Uint8Array[]],
  { values, nulls, rows }: { values: number; nulls: number; rows: number },
): Uint8Array {
  const size = parts.reduce((sum, { length }) => sum + length, 0);
  const integers = (...numbers: number[]) => numbers.flatMap((one) => [INTEGER, ...zigzag(one)]);
  const header = [
    ...integers(DATA_PAGE_V2, size, size),
    STRUCT,
    ...integers(values, nulls, rows, RLE_DICTIONARY, parts[1].length, parts[0].length),
    ...[FALSE, STOP, STOP],
  ];
  const bytes = new Uint8Array(header.length + size);
  bytes.set(header);
  let at = header.length;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
