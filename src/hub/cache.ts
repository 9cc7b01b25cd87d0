/**
 * One repository's folder in the cache, in the layout of Hugging Face's programs, which share it: `blobs/` by content,
 * `snapshots/COMMIT/` with links to them, `refs/` with the commits of branches. `listings/` is ours: what a commit holds.
 */

import { dirname, join } from "node:path";
import { SpielError } from "../errors.ts";
import { type FileLock, isNotFound, storageError, systemCode } from "../io/files.ts";
import { publishFile, TEMPORARY_PREFIX } from "../io/publish.ts";
import { isObject } from "../io/random_access.ts";
import type { Clock } from "./clock.ts";
import type { HubDisk } from "./disk.ts";
import { type ContentId, contentIdOf, type HubFile, type Listing } from "./listing.ts";
import { takeLock } from "./lock.ts";
import { DEFAULT_REVISION, type HubName, isCommit, isSafePath } from "./name.ts";

/** A repository's folder. */
export class RepoCache {
  /** Its path. */
  readonly folder: string;
  readonly #locks: string;
  readonly #disk: HubDisk;

  /** @param cache The folder of all repositories. */
  constructor(cache: string, { kind, repo }: HubName, disk: HubDisk) {
    const own = [`${kind}s`, ...repo.split("/")].join("--");
    this.folder = join(cache, own);
    this.#locks = join(cache, ".locks", own);
    this.#disk = disk;
  }

  /** Where a content lies. */
  blobPath({ hex }: ContentId): string {
    return join(this.folder, "blobs", hex);
  }

  /** The folder of a commit. */
  snapshotPath(commit: string): string {
    return join(this.folder, "snapshots", commit);
  }

  /** Where a file of a commit is found. */
  filePath(commit: string, path: string): string {
    return join(this.snapshotPath(commit), ...path.split("/"));
  }

  /** Whether a file of a commit is there in its full length. */
  async has(commit: string, { path, size }: HubFile): Promise<boolean> {
    const status = await this.#reading(() => this.#disk.status(this.filePath(commit, path)));
    return status !== null && !status.isFolder && status.size === size;
  }

  /** The commit that a revision was at when it was last asked for; null where that is unknown. */
  async commitOf(revision: string): Promise<string | null> {
    if (isCommit(revision)) return revision;
    const text = await this.#text(join(this.folder, "refs", ...revision.split("/")));
    const commit = text?.trim() ?? "";
    return isCommit(commit) ? commit : null;
  }

  /** Writes down where a revision is at now. A cache that cannot be written to is no failure: what is in it is there. */
  async noteCommit(revision: string, commit: string): Promise<void> {
    if (isCommit(revision) || await this.commitOf(revision) === commit) return;
    await this.#note(join(this.folder, "refs", ...revision.split("/")), commit);
  }

  /** What a commit holds; null where it was not noted. */
  async listing(commit: string): Promise<Listing | null> {
    const text = await this.#text(this.#listingPath(commit));
    if (text === null) return null;
    try {
      const files = (JSON.parse(text) as unknown[]).map(notedFile);
      return { commit, files };
    } catch {
      // Damaged; it is asked for again.
      return null;
    }
  }

  /** Notes what a commit holds, which never changes. */
  async noteListing({ commit, files }: Listing): Promise<void> {
    const noted = files.map(({ path, size, id }) => ({ path, size, id: id?.hex }));
    await this.#note(this.#listingPath(commit), JSON.stringify(noted));
  }

  #listingPath(commit: string): string {
    return join(this.folder, "listings", `${commit}.json`);
  }

  /** The files of a commit that any program has cached; empty where none has. */
  async cachedFiles(commit: string): Promise<HubFile[]> {
    const files: HubFile[] = [];
    const visit = async (prefix: string) => {
      for (const { name } of await this.#disk.list(join(this.snapshotPath(commit), prefix))) {
        const path = prefix === "" ? name : `${prefix}/${name}`;
        const status = await this.#disk.status(this.filePath(commit, path));
        if (status === null || name.startsWith(TEMPORARY_PREFIX)) continue;
        if (status.isFolder) await visit(path);
        else files.push({ path, size: status.size, id: null });
      }
    };
    try {
      await visit("");
    } catch (error) {
      if (!isNotFound(error)) throw this.#unreadable(error);
    }
    return files;
  }

  /** Gives a content that is there its name in a commit; `commit` at `path`. */
  async link(commit: string, { path }: HubFile, id: ContentId): Promise<void> {
    const from = this.filePath(commit, path);
    const temporary = join(dirname(from), `${TEMPORARY_PREFIX}${crypto.randomUUID()}`);
    await this.#disk.makeFolder(dirname(from));
    // Another program may have made the same name in the meantime: a rename replaces it by its like.
    await this.#disk.link(this.blobPath(id), temporary);
    await this.#disk.rename(temporary, from);
  }

  /** Makes the folders of blobs and locks. */
  async makeFolders(): Promise<void> {
    for (const folder of [join(this.folder, "blobs"), this.#locks]) {
      await this.#disk.makeFolder(folder);
    }
  }

  /**
   * Waits for its turn at a content, for which every program that shares the cache holds the same lock.
   *
   * @param onWaiting Told once that another process is at it.
   */
  async lock(
    { hex }: ContentId,
    clock: Clock,
    signal: AbortSignal | undefined,
    onWaiting: () => void,
  ): Promise<FileLock> {
    const path = join(this.#locks, `${hex}.lock`);
    return await takeLock(path, { disk: this.#disk, clock, signal, onWaiting });
  }

  async #text(path: string): Promise<string | null> {
    try {
      return new TextDecoder().decode(await this.#disk.read(path));
    } catch (error) {
      if (isNotFound(error) || systemCode(error) === "ENOTDIR") return null;
      throw this.#unreadable(error);
    }
  }

  async #note(path: string, text: string): Promise<void> {
    try {
      await this.#disk.makeFolder(dirname(path));
      await publishFile(this.#disk, path, new TextEncoder().encode(text));
    } catch {
      // What matters is written with care elsewhere; here only a request is saved.
    }
  }

  async #reading<Result>(read: () => Promise<Result>): Promise<Result> {
    try {
      return await read();
    } catch (error) {
      throw this.#unreadable(error);
    }
  }

  #unreadable(error: unknown): SpielError {
    return storageError(`Cannot read the hub's cache "${this.folder}"`, error);
  }
}

function notedFile(entry: unknown): HubFile {
  const { path, size, id } = isObject(entry) ? entry : {};
  if (typeof path === "string" && isSafePath(path) && Number.isSafeInteger(size)) {
    return { path, size: size as number, id: contentIdOf(id) };
  }
  throw new Error("no file");
}

/** How a commit is shown: the branch it is at, and its first digits. */
export function shownCommit({ revision }: HubName, commit: string): string {
  const short = commit.slice(0, 8);
  return revision === DEFAULT_REVISION || isCommit(revision) ? short : `${revision} (${short})`;
}
