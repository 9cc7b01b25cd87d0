/** Unpacks files that are compressed with gzip, once: every kind needs bytes that can be read anywhere. */
import { createHash, randomUUID } from "node:crypto";
import { join } from "node:path";
import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { SpielError } from "../../errors.ts";
import { removeAbandoned } from "../../io/abandoned.ts";
import { cacheFolder } from "../../io/cache_folder.ts";
import { noteUse, useCache } from "../../io/cache_use.ts";
import { denoFiles as files, storageError, writeAll } from "../../io/files.ts";
import { TEMPORARY_PREFIX } from "../../io/publish.ts";
import { RandomAccessFile } from "../../io/random_access.ts";
import { readChunks } from "./chunks.ts";
import { LongReading, type Watch } from "./long_reading.ts";

const SIGNATURE = [0x1F, 0x8B];
/** How much more a file may unpack to than it has, unless that is not more than `FREE_BYTES`. */
const MAX_RATIO = 100;
const FREE_BYTES = 64 * 1024 * 1024;

/** Whether a file begins as gzip's do. */
export function isGzip(bytes: Uint8Array): boolean {
  return SIGNATURE.every((byte, i) => bytes[i] === byte);
}

/**
 * The unpacked file in the cache, made unless it is there. Its name is the SHA-256 of what it was unpacked from, and how
 * many bytes it has.
 *
 * @param name What messages call the packed file.
 * @throws {SpielError} kind "data" for a file that is damaged, cut or unpacks without measure; "storage" or
 * "environment" when the cache cannot be written; "interrupted" when the signal fires.
 */
export async function unpackedFile(path: string, name: string, watch: Watch): Promise<string> {
  using file = RandomAccessFile.open(path);
  const hash = createHash("sha256");
  const reading = new LongReading(watch, name, file.size);
  for (const { bytes, at } of readChunks(file, 0, file.size)) {
    hash.update(bytes);
    await reading.reach(at);
  }
  const root = cacheFolder();
  const folder = join(root, "unpacked");
  const digest = hash.digest("hex");
  const temporary = join(folder, TEMPORARY_PREFIX + randomUUID());
  try {
    await files.makeFolder(folder);
    using _use = await useCache(files, root, watch.signal);
    await removeAbandoned(files, folder);
    const found = await wholeFile(folder, digest);
    if (found !== null) {
      noteUse(found);
      return found;
    }
    const length = await unpack(file, name, temporary, watch);
    const target = join(folder, `${digest}-${length}`);
    await files.rename(temporary, target);
    await files.syncFolder(folder);
    return target;
  } catch (error) {
    await files.remove(temporary).catch(() => {});
    throw error instanceof SpielError ? error : storageError(
      `Cannot unpack "${name}" to "${folder}", for which SPIEL_CACHE may name another place`,
      error,
    );
  }
}

/** The file of a name that has as many bytes as were written to it; null where there is none. */
async function wholeFile(folder: string, name: string): Promise<string | null> {
  for (const entry of await files.list(folder)) {
    if (!entry.name.startsWith(`${name}-`)) continue;
    const path = join(folder, entry.name);
    const size = (await files.status(path))?.size;
    if (size === Number(entry.name.slice(name.length + 1))) return path;
  }
  return null;
}

/** Returns the number of bytes. */
async function unpack(
  file: RandomAccessFile,
  name: string,
  target: string,
  watch: Watch,
): Promise<number> {
  const most = Math.max(FREE_BYTES, MAX_RATIO * file.size);
  const output = await files.create(target);
  try {
    let length = 0;
    const reading = new LongReading(watch, name, file.size);
    for await (const bytes of unpackedChunks(file, name, reading)) {
      length += bytes.length;
      if (length > most) {
        throw new SpielError(
          "data",
          `"${name}", of ${file.size} bytes, unpacks to more than ${most}; ` +
            `expected at most ${MAX_RATIO} times as much: gunzip unpacks it all the same`,
        );
      }
      await writeAll(output, bytes);
    }
    await output.sync();
    return length;
  } finally {
    output.close();
  }
}

async function* unpackedChunks(
  file: RandomAccessFile,
  name: string,
  reading: LongReading,
): AsyncGenerator<Uint8Array> {
  const packed = Readable.from(bytesOf(file, reading));
  const unpacked = packed.pipe(createGunzip());
  packed.on("error", (error) => unpacked.destroy(error));
  try {
    yield* unpacked;
  } catch (cause) {
    if (cause instanceof SpielError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SpielError("data", `"${name}" is damaged, or cut: ${reason}`, { cause });
  }
}

async function* bytesOf(file: RandomAccessFile, reading: LongReading): AsyncGenerator<Uint8Array> {
  for (const { bytes, at } of readChunks(file, 0, file.size)) {
    await reading.reach(at);
    yield bytes;
  }
}
