/** The registry of kinds of data files: a new one is a new module and one line here. */
import { RandomAccessFile } from "../../io/random_access.ts";
import { jsonLines } from "./json_lines.ts";
import { otherFile, refuseUrl } from "./other_files.ts";
import type { FileHead, FileKind, RecordAt, RecordFile } from "./record_file.ts";

export type { Block, FileKind, RecordAt, RecordFile, RecordPlace } from "./record_file.ts";

/** All kinds, in the order in which detection tries them. */
export const FILE_KINDS: readonly FileKind[] = [jsonLines];

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
 * Finds the kind of a file by how it begins.
 *
 * @throws {SpielError} kind "data" when it cannot be read, or is of a kind that is not among these.
 */
export function recogniseFile(path: string): Promise<KnownFile> {
  return Promise.try(() => {
    refuseUrl(path);
    const head = headOf(path);
    const kind = FILE_KINDS.find((kind) => kind.recognises(head));
    if (kind === undefined) throw otherFile(head);
    return { path, content: path, kind };
  });
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

function headOf(path: string): FileHead {
  using file = RandomAccessFile.open(path);
  const length = Math.min(HEAD_BYTES, file.size);
  return { path, bytes: file.read(0, length), isWhole: length === file.size };
}
