/** Models and data sets of the hub as local paths: from the cache where they are there, else downloaded into it. */

import { isSpielError, SpielError } from "../errors.ts";
import { storageError } from "../io/files.ts";
import type { DataPath } from "../io/named_file.ts";
import { isObject, readJsonObject, readTextFile } from "../io/random_access.ts";
import { RepoCache, shownCommit } from "./cache.ts";
import { chooseData } from "./data_files.ts";
import { type Clock, systemClock } from "./clock.ts";
import { denoDisk, type HubDisk } from "./disk.ts";
import { type DownloadProgress, fetchFiles } from "./fetch_files.ts";
import { type Asking, commitOf, filesOf, type HubFile, type Listing } from "./listing.ts";
import { chooseModel, SHARD_INDEX, weightsOf } from "./model_files.ts";
import { type HubName, hubNameText, isCommit } from "./name.ts";
import { DEFAULT_RETRY_POLICY, type RetryPolicy } from "./retry.ts";
import { type HubSettings, hubSettings } from "./settings.ts";

/** What stands in for the world in a test. */
export interface HubParts {
  readonly settings: HubSettings;
  readonly clock: Clock;
  readonly disk: HubDisk;
  readonly policy: RetryPolicy;
}

/** How the hub is used. */
export interface HubUse {
  /** Takes what is in the cache and asks no server; as HF_HUB_OFFLINE says when absent or false. */
  readonly offline?: boolean | undefined;
  /** Stops a download, which can be gone on with. */
  readonly signal?: AbortSignal | undefined;
  /** Told how far a download has come. */
  readonly onDownload?: ((progress: DownloadProgress) => void) | undefined;
  /** Told in one sentence of what is odd but no error, and awaited. */
  readonly onWarning?: ((message: string) => void | Promise<void>) | undefined;
  /** @internal */
  readonly hub?: Partial<HubParts> | undefined;
}

/** What a name of the hub stands for. */
export interface Downloaded {
  /** The commit whose files these are; of a file of the web what its server calls the content, null where it does not. */
  readonly commit: string | null;
  /** A model's folder or GGUF file, or a data set's files in order. */
  readonly paths: readonly string[];
  /** Bytes of the files. */
  readonly bytes: number;
  /** What messages call the one file, where that is not its path: its address in the web. */
  readonly name?: string;
}

/** The files, under the names that messages call them. */
export function namedFilesOf({ paths, name }: Downloaded): DataPath[] {
  return name === undefined ? [...paths] : paths.map((path) => ({ path, name }));
}

/** What a repository's name stands for. */
interface DownloadedCommit extends Downloaded {
  readonly commit: string;
}

/** Far more than any. */
const MAX_README_BYTES = 4 << 20;
const MAX_INDEX_BYTES = 64 << 20;

/**
 * Brings a model into the cache.
 *
 * @param checkConfig Throws where config.json tells of a model that is of no use, before its weights are asked for.
 * @throws {SpielError} `data` where there is no such model or none that is read, `environment` for a missing token or
 * permission, `interrupted` when the hub cannot be reached, `storage` when the disk fails.
 */
export async function downloadModel(
  name: HubName,
  use: HubUse = {},
  checkConfig: (path: string) => void = () => {},
): Promise<Downloaded> {
  return await inRepository(name, use, async (repository) => {
    const { listing, cache } = repository;
    const { commit, files } = listing;
    const choice = chooseModel(name, files);
    if (choice.form === "gguf") {
      await repository.bring(choice.files);
      const [first] = choice.files.map(({ path }) => cache.filePath(commit, path));
      return { paths: [first ?? ""], files: choice.files };
    }
    const { companions } = choice;
    await repository.bring(companions);
    checkModelConfig(name, cache.filePath(commit, "config.json"), checkConfig);
    const hasIndex = companions.some(({ path }) => path === SHARD_INDEX);
    const shards = hasIndex ? shardsIn(cache.filePath(commit, SHARD_INDEX)) : null;
    const all = [...companions, ...weightsOf(name, files, shards)];
    await repository.bring(all);
    return { paths: [cache.snapshotPath(commit)], files: all };
  });
}

/** Brings the files of a split into the cache; throws as `downloadModel` does. */
export async function downloadData(name: HubName, use: HubUse = {}): Promise<Downloaded> {
  return await inRepository(name, use, async (repository) => {
    const { listing: { commit, files }, cache } = repository;
    const readme = files.filter(({ path }) => path === "README.md");
    await repository.bring(readme);
    const about = readme.length === 0
      ? null
      : await frontMatter(cache.filePath(commit, "README.md"));
    const chosen = chooseData(name, files, about);
    await repository.bring(chosen);
    return { paths: chosen.map(({ path }) => cache.filePath(commit, path)), files: chosen };
  });
}

/** A repository at a commit. */
interface Repository {
  readonly listing: Listing;
  readonly cache: RepoCache;
  /** Sees to it that files are there. */
  bring(files: readonly HubFile[]): Promise<void>;
}

type Choose = (repository: Repository) => Promise<{ paths: string[]; files: readonly HubFile[] }>;

async function inRepository(name: HubName, use: HubUse, choose: Choose): Promise<DownloadedCommit> {
  const { signal, onDownload: onProgress, hub = {} } = use;
  const { settings = hubSettings(), clock = systemClock, disk = denoDisk } = hub;
  const text = hubNameText(name);
  const onWaiting = (waiting: string) => {
    const nothing = { bytes: 0, totalBytes: 0, files: 0, totalFiles: 0 };
    onProgress?.({ name: text, ...nothing, ...waiting === "" ? {} : { waiting } });
  };
  const asking: Asking = {
    ...{ settings, clock, signal, onWaiting },
    policy: hub.policy ?? DEFAULT_RETRY_POLICY,
  };
  const cache = new RepoCache(settings.cache, name, disk);
  const cached = async (): Promise<DownloadedCommit> => {
    const commit = await cache.commitOf(name.revision);
    const noted = commit === null ? null : await cache.listing(commit);
    const listing = commit === null
      ? null
      : noted ?? { commit, files: await cache.cachedFiles(commit) };
    if (listing === null || listing.files.length === 0) throw notCached(name, cache);
    const bring = async (files: readonly HubFile[]) => {
      for (const file of files) {
        if (!await cache.has(listing.commit, file)) throw notCached(name, cache, file.path);
      }
    };
    return downloaded(listing, await choose({ listing, cache, bring }));
  };
  if (use.offline || settings.offline) return await cached();
  // What a commit holds never changes, so what is there in full needs no server.
  const isThere = isCommit(name.revision) && await cache.listing(name.revision) !== null;
  const whole = isThere ? await unlessMissing(cached) : null;
  if (whole !== null) return whole;
  let commit: string;
  let files: readonly HubFile[];
  try {
    commit = isCommit(name.revision) ? name.revision : await commitOf(name, asking);
    files = (await cache.listing(commit))?.files ?? await filesOf(name, commit, asking);
  } catch (error) {
    // Who is offline without saying so goes on with what is there, and is told.
    if (!isSpielError(error) || error.kind !== "interrupted" || signal?.aborted) throw error;
    const found = await unlessMissing(cached);
    if (found === null) throw error;
    const at = shownCommit(name, found.commit);
    await use.onWarning?.(
      `${error.message.split(";")[0]}; "${text}" is taken from the cache, at ${at}`,
    );
    return found;
  }
  const listing = { commit, files };
  await cache.noteListing(listing);
  const fetching = { name, commit, cache, disk, asking, onProgress };
  const bring = (files: readonly HubFile[]) => fetchFiles(files, fetching);
  const result = downloaded(listing, await choose({ listing, cache, bring }));
  // Last, so that a branch never points to what is not there.
  await cache.noteCommit(name.revision, commit);
  return result;
}

function downloaded(
  { commit }: Listing,
  { paths, files }: { paths: string[]; files: readonly HubFile[] },
): DownloadedCommit {
  return { commit, paths, bytes: files.reduce((sum, { size }) => sum + size, 0) };
}

function notCached(name: HubName, { folder }: RepoCache, file?: string): SpielError {
  const what = file === undefined
    ? "is not in the hub's cache"
    : `lacks "${file}" in the hub's cache`;
  return new SpielError(
    "environment",
    `"${hubNameText(name)}" ${what} ("${folder}"), and offline nothing is downloaded`,
  );
}

async function unlessMissing<Result>(take: () => Promise<Result>): Promise<Result | null> {
  try {
    return await take();
  } catch (error) {
    if (isSpielError(error)) return null;
    throw error;
  }
}

/** Checks a configuration, and says so where only the repository's own code, which is never run, could use it. */
function checkModelConfig(name: HubName, path: string, check: (path: string) => void): void {
  try {
    check(path);
  } catch (error) {
    if (!isSpielError(error)) throw error;
    const { auto_map: code } = readJsonObject(path);
    const module = isObject(code) ? Object.values(code)[0] : undefined;
    const own = module === undefined
      ? ""
      : `; the repository brings code of its own ("${module}"), which is never run`;
    throw new SpielError("data", `"${hubNameText(name)}" cannot be used: ${error.message}${own}`);
  }
}

function shardsIn(path: string): string[] {
  const { weight_map: map } = readJsonObject(path, MAX_INDEX_BYTES);
  if (isObject(map)) return [...new Set(Object.values(map).map(String))].sort();
  throw new SpielError("data", `${path}: weight_map is missing; expected the file of every tensor`);
}

/** What stands between the first lines `---` of a README; null where there is nothing, or nothing that can be read. */
async function frontMatter(path: string): Promise<unknown> {
  const text = readTextFile(path, MAX_README_BYTES);
  const [, matter] = /^\s*---\r?\n([\s\S]*?)\r?\n---/.exec(text) ?? [];
  if (matter === undefined) return null;
  const { parse } = await import("npm:yaml@2.9.1");
  try {
    return parse(matter);
  } catch (error) {
    // Where to find what is wrong in it is the business of who wrote it; a missing permission is ours.
    if (error instanceof Deno.errors.NotCapable) throw storageError(`Cannot read "${path}"`, error);
    return null;
  }
}
