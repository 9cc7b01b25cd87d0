/** Brings files of one commit into the cache, several at a time. */

import { SpielError } from "../errors.ts";
import { storageError } from "../io/files.ts";
import { downloadBlob, incompletePath } from "./blob.ts";
import type { RepoCache } from "./cache.ts";
import type { HubDisk } from "./disk.ts";
import { type Asking, type ContentId, contentUrl, type HubFile } from "./listing.ts";
import { type HubName, hubNameText } from "./name.ts";
import { refuseIfStopped } from "./retry.ts";

/** How far a download has come. */
export interface DownloadProgress {
  /** The repository, as it is typed. */
  readonly name: string;
  /** Bytes that are there, those of earlier downloads included. */
  readonly bytes: number;
  /** Bytes of all files; 0 while that is unknown, as of a file of the web whose server does not tell. */
  readonly totalBytes: number;
  /** Files that are there. */
  readonly files: number;
  /** All files. */
  readonly totalFiles: number;
  /** Why nothing comes at the moment; absent while something does. */
  readonly waiting?: string;
}

/** Where files come from and go to. */
export interface FetchingParts {
  readonly name: HubName;
  readonly commit: string;
  readonly cache: RepoCache;
  readonly disk: HubDisk;
  readonly asking: Asking;
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
}

/** Files at a time, as Hugging Face's programs have it. */
const CONCURRENCY = 8;

/**
 * Brings those of the files that are not there. When one fails the others are stopped; what has come of them stays.
 *
 * @throws {SpielError} as `downloadBlob` does.
 */
export async function fetchFiles(files: readonly HubFile[], parts: FetchingParts): Promise<void> {
  const there = await Promise.all(files.map((file) => parts.cache.has(parts.commit, file)));
  const missing = files.filter((_, index) => !there[index]);
  if (missing.length === 0) return;
  try {
    await parts.cache.makeFolders();
  } catch (error) {
    throw storageError(`Cannot write to the hub's cache "${parts.cache.folder}"`, error);
  }
  const stop = new AbortController();
  const { signal: given } = parts.asking;
  const signal = AbortSignal.any([stop.signal, ...given === undefined ? [] : [given]]);
  const tally = new Tally(files, missing, parts);
  const left = missing.values();
  let failure: unknown;
  const work = async () => {
    for (const file of left) {
      try {
        await fetchOne(file, parts, { ...parts.asking, signal }, tally);
      } catch (error) {
        // Those that are stopped on account of the first failure have nothing to tell.
        failure ??= error;
        stop.abort();
      }
      if (signal.aborted) return;
    }
  };
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, missing.length) }, work));
  refuseIfStopped(given);
  if (failure !== undefined) throw failure;
}

async function fetchOne(
  file: HubFile,
  { name, commit, cache, disk }: FetchingParts,
  asking: Asking,
  tally: Tally,
): Promise<void> {
  const { path: file_, size, id } = file;
  if (id === null) {
    throw new SpielError("data", `"${file_}" of ${name.repo} is incomplete in "${cache.folder}"`);
  }
  const onWaiting = (message: string) => tally.wait(message);
  const lock = await lockOf(cache, id, asking, () => {
    onWaiting(`another process downloads "${file_}"`);
  }).catch((error) => {
    throw storageError(`Cannot lock "${file_}" of ${name.repo} in "${cache.folder}"`, error);
  });
  onWaiting("");
  try {
    const path = cache.blobPath(id);
    const status = await disk.status(path);
    if (status !== null && status.size !== size) {
      // Cut off by a crash or another program; what is there of it may still serve.
      await disk.rename(path, incompletePath(path));
    }
    if (status === null || status.size !== size) {
      const url = contentUrl(name, commit, file_, asking.settings.endpoint);
      const onBytes = (bytes: number) => tally.set(file, bytes);
      const job = { name, file: file_, url, size, id, path, onBytes };
      const lastBytesAt = () => tally.lastBytesAt;
      await downloadBlob(job, disk, { ...asking, onWaiting, lastBytesAt });
    }
    await cache.link(commit, file, id);
    tally.complete(file);
  } catch (error) {
    throw storageError(`Cannot save "${file_}" of ${name.repo} in "${cache.folder}"`, error);
  } finally {
    lock.release();
  }
}

function lockOf(cache: RepoCache, id: ContentId, asking: Asking, onWaiting: () => void) {
  return cache.lock(id, asking.clock, asking.signal, onWaiting);
}

/** Adds up how far all files are. */
class Tally {
  readonly #bytes = new Map<HubFile, number>();
  readonly #parts: FetchingParts;
  readonly #before: number;
  readonly #totals: Pick<DownloadProgress, "name" | "totalBytes" | "totalFiles">;
  #complete: number;
  /** When bytes of any file last came, by `performance.now()`. */
  lastBytesAt = -Infinity;

  constructor(files: readonly HubFile[], missing: readonly HubFile[], parts: FetchingParts) {
    this.#parts = parts;
    const totalBytes = sizeOf(files);
    this.#before = totalBytes - sizeOf(missing);
    this.#complete = files.length - missing.length;
    this.#totals = { name: hubNameText(parts.name), totalBytes, totalFiles: files.length };
    this.#tell();
  }

  set(file: HubFile, bytes: number): void {
    this.#bytes.set(file, bytes);
    this.lastBytesAt = performance.now();
    this.#tell();
  }

  complete(file: HubFile): void {
    this.#complete++;
    this.set(file, file.size);
  }

  wait(message: string): void {
    this.#tell(message === "" ? {} : { waiting: message });
  }

  #tell(waiting: { waiting?: string } = {}): void {
    const bytes = this.#bytes.values().reduce((sum, one) => sum + one, this.#before);
    this.#parts.onProgress?.({ ...this.#totals, bytes, files: this.#complete, ...waiting });
  }
}

function sizeOf(files: readonly HubFile[]): number {
  return files.reduce((sum, { size }) => sum + size, 0);
}
