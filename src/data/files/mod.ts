/** The registry of kinds of data files: a new one is a new module and one line here. */
import { SpielError } from "../../errors.ts";
import { type DataPath, namedFile } from "../../io/named_file.ts";
import { RandomAccessFile } from "../../io/random_access.ts";
import { csv } from "./csv.ts";
import { isGzip, unpackedFile } from "./gzip.ts";
import { json } from "./json.ts";
import { jsonLines } from "./json_lines.ts";
import type { Watch } from "./long_reading.ts";
import { otherFile, otherText, refuseUrl } from "./other_files.ts";
import { parquet } from "./parquet.ts";
import { tsv } from "./tsv.ts";
import type { FileHead, FileKind, RecordAt, RecordFile } from "./record_file.ts";

export { LongReading, type Watch } from "./long_reading.ts";
export type { Block, FileKind, RecordAt, RecordFile, RecordPlace } from "./record_file.ts";

/** All kinds, in the order in which detection tries them. */
export const FILE_KINDS: readonly FileKind[] = [parquet, json, csv, tsv, jsonLines];

/** A file whose kind is known. */
export interface KnownFile {
  /** What messages call it. */
  path: string;
  /** Where its bytes are. */
  content: string;
  kind: FileKind;
}

/** Enough to see the first lines of nearly any file. */
const HEAD_BYTES = 256 * 1024;

/**
 * Finds the kind of a file by how it begins. One that is compressed with gzip is unpacked into the cache.
 *
 * @throws {SpielError} kind "data" when it cannot be read, or is of a kind that is not among these; "interrupted" when
 * the signal fires.
 */
export async function recogniseFile(file: DataPath, watch: Watch = {}): Promise<KnownFile> {
  const { path, name } = namedFile(file);
  refuseUrl(path);
  const isPacked = isGzip(headOf(path, name).bytes);
  const content = isPacked ? await unpackedFile(path, name, watch) : path;
  const head = headOf(content, name.replace(/\.gz$/i, ""));
  if (isPacked && isGzip(head.bytes)) {
    throw new SpielError("data", `"${name}" is compressed with gzip twice; gunzip unpacks it`);
  }
  const other = otherFile(head);
  if (other !== null) throw other;
  const kind = FILE_KINDS.find((kind) => kind.recognises(head));
  if (kind !== undefined) return { path: name, content, kind };
  throw otherText(head) ?? new SpielError("data", `"${name}" is of no known kind`);
}

/** Opens a file whose kind is known. */
export async function openRecords({ kind, content, path }: KnownFile): Promise<RecordFile> {
  return await kind.open(content, path);
}

/** All records of a file, in order. */
export async function* readRecords(known: KnownFile): AsyncGenerator<RecordAt> {
  using file = await openRecords(known);
  for await (const block of file.blocks()) yield* file.records(block);
}

function headOf(content: string, path: string): FileHead {
  using file = RandomAccessFile.open(content);
  const length = Math.min(HEAD_BYTES, file.size);
  return { path, bytes: file.read(0, length), isWhole: length === file.size };
}
