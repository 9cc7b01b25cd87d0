/** Finds the files in a zip archive that are stored as they are, which is how torch saves tensors. */
import { SpielError } from "../errors.ts";
import type { RandomAccessFile } from "./random_access.ts";

/** Where one file of an archive lies. */
export interface ZipEntry {
  readonly byteOffset: number;
  readonly byteLength: number;
}

const END_SIGNATURE = 0x06054b50;
const CENTRAL_SIGNATURE = 0x02014b50;
const LOCAL_SIGNATURE = 0x04034b50;
const END_BYTES = 22;
const CENTRAL_BYTES = 46;
const LOCAL_BYTES = 30;
const MAX_COMMENT_BYTES = 0xffff;
/** Thousands of tensors have a directory of some hundred KiB. */
const MAX_DIRECTORY_BYTES = 4 << 20;
/** What a field says whose number stands elsewhere, in archives over 4 GiB. */
const ELSEWHERE = 0xffff_ffff;

/**
 * Reads the directory of an archive.
 *
 * @returns Entries by name, whose bytes lie inside the file.
 * @throws {SpielError} kind "data" naming the file, the entry and what was expected.
 */
export function readZipDirectory(file: RandomAccessFile): Map<string, ZipEntry> {
  const fail = (reason: string) => new SpielError("data", `${file.path}: ${reason}`);
  const { count, size, offset } = readEnd(file, fail);
  if (size > MAX_DIRECTORY_BYTES) {
    throw fail(`the zip directory has ${size} bytes; expected at most ${MAX_DIRECTORY_BYTES}`);
  }
  if (offset + size > file.size) {
    throw fail(`the zip directory ends at byte ${offset + size} of ${file.size} (truncated?)`);
  }
  const bytes = file.read(offset, size);
  const view = new DataView(bytes.buffer);
  const entries = new Map<string, ZipEntry>();
  let at = 0;
  for (let index = 0; index < count; index++) {
    if (at + CENTRAL_BYTES > size || view.getUint32(at, true) !== CENTRAL_SIGNATURE) {
      throw fail(`the zip directory has no entry ${index} of ${count} at byte ${offset + at}`);
    }
    const nameBytes = view.getUint16(at + 28, true);
    const end = at + CENTRAL_BYTES + nameBytes;
    if (end > size) throw fail(`the name of zip entry ${index} is cut off`);
    const name = new TextDecoder().decode(bytes.subarray(at + CENTRAL_BYTES, end));
    if (entries.has(name)) throw fail(`the zip entry "${name}" occurs twice`);
    entries.set(name, readEntry(file, view, at, name, fail));
    at = end + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return entries;
}

type Fail = (reason: string) => SpielError;

function readEnd(file: RandomAccessFile, fail: Fail) {
  const length = Math.min(file.size, END_BYTES + MAX_COMMENT_BYTES);
  const start = file.size - length;
  const view = new DataView(file.read(start, length).buffer);
  for (let at = length - END_BYTES; at >= 0; at--) {
    if (view.getUint32(at, true) !== END_SIGNATURE) continue;
    return {
      count: view.getUint16(at + 10, true),
      size: view.getUint32(at + 12, true),
      offset: view.getUint32(at + 16, true),
    };
  }
  throw fail("it is no zip archive, or its end is cut off");
}

function readEntry(
  file: RandomAccessFile,
  central: DataView,
  at: number,
  name: string,
  fail: Fail,
): ZipEntry {
  const method = central.getUint16(at + 10, true);
  const byteLength = central.getUint32(at + 20, true);
  const unpacked = central.getUint32(at + 24, true);
  const header = central.getUint32(at + 42, true);
  if (byteLength === ELSEWHERE || unpacked === ELSEWHERE || header === ELSEWHERE) {
    throw fail(`the zip entry "${name}" lies beyond 4 GiB; save it as safetensors`);
  }
  if (method !== 0 || byteLength !== unpacked) {
    throw fail(`the zip entry "${name}" is compressed; expected it stored, as torch does`);
  }
  if ((central.getUint16(at + 8, true) & 1) !== 0) {
    throw fail(`the zip entry "${name}" is encrypted`);
  }
  const isThere = header + LOCAL_BYTES <= file.size;
  const local = isThere ? new DataView(file.read(header, LOCAL_BYTES).buffer) : undefined;
  if (local?.getUint32(0, true) !== LOCAL_SIGNATURE) {
    throw fail(`the zip entry "${name}" does not begin at byte ${header}`);
  }
  const byteOffset = header + LOCAL_BYTES + local.getUint16(26, true) + local.getUint16(28, true);
  if (byteOffset + byteLength > file.size) {
    throw fail(`the zip entry "${name}" ends after the file (truncated?)`);
  }
  return { byteOffset, byteLength };
}
