/** Prepares data files: block after block, by several workers, each block kept in the cache as soon as it is made. */
import { SpielError } from "../../errors.ts";
import { cacheFolder } from "../../io/cache_folder.ts";
import { useCache } from "../../io/cache_use.ts";
import { denoFiles, type Files } from "../../io/files.ts";
import { FileVersion } from "../../io/file_version.ts";
import { RandomAccessFile } from "../../io/random_access.ts";
import type { DataFile } from "../data_files.ts";
import { type Block, LongReading, openRecords, type Watch } from "../files/mod.ts";
import type { Tokenizer } from "../tokenizer.ts";
import type { Encoding, PreparedBlock } from "./block.ts";
import { cacheFailure, hashTokenizer, ShardCache } from "./cache.ts";
import { KeptFiles } from "./kept_files.ts";
import { LocalPreparer, type Preparer, RECORDS_PER_TURN, WorkerPreparer } from "./preparer.ts";
import { type Shard, shardInMemory } from "./shard.ts";

/** Data of at most so many bytes is prepared in memory, without workers, unless they are asked for. */
const SMALL_BYTES = 4 * 1024 * 1024;

/** More take memory that few machines have to spare: each has a tokenizer of its own. */
const MAX_WORKERS = 8;

/** How data is prepared. A stop keeps in the cache what is done. */
export interface PreparationOptions extends Watch {
  /**
   * Folder in which prepared data is kept for later runs; null keeps it in memory only. Default: the cache that the
   * environment names, for data of more than 4 MiB; else null.
   */
  cache?: string | null | undefined;
  /** Workers that tokenise; 0 is this process. Default: one per core, at most 8, for data of more than 4 MiB; else 0. */
  workers?: number | undefined;
  /**
   * Told from time to time how many examples have been read, and awaited.
   *
   * @param share Of the data that is done, 0 to 1.
   */
  onProgress?: ((examples: number, share: number) => void | Promise<void>) | undefined;
  /** The disk, unless a test says otherwise. */
  files?: Files | undefined;
}

/** A file and what its records became. */
export interface PreparedFile {
  file: DataFile;
  /** The file as it was before anything of it was read. */
  version: FileVersion;
  /** In the order of the file. */
  shards: readonly Shard[];
}

/** Files, and what is held of the cache to read them. */
export interface PreparedFiles extends Disposable {
  readonly files: readonly PreparedFile[];
}

/** A block of a file, and its shard as soon as there is one. */
interface Part {
  file: DataFile;
  /** The file as it was before anything of it was read. */
  version: FileVersion;
  block: Block;
  shard: Shard | null;
  /** Keeps what the block became. */
  keep(prepared: PreparedBlock): Shard | Promise<Shard>;
}

/**
 * Prepares files, or takes what an earlier preparation has left of them. The result does not depend on the number of
 * workers.
 *
 * @throws {SpielError} kind "data" for a file that cannot be read or is changed meanwhile; "storage" or "environment" for a cache that cannot
 * be written; "interrupted" when the signal fires.
 */
export async function prepareFiles(
  files: readonly DataFile[],
  tokenizer: Tokenizer,
  encoding: Encoding,
  options: PreparationOptions,
): Promise<PreparedFiles> {
  const isSmall = files.reduce((sum, { content }) => sum + sizeOf(content), 0) <= SMALL_BYTES;
  const { cache = isSmall ? null : cacheFolder(), files: disk = denoFiles } = options;
  const { workers = isSmall ? 0 : Math.min(navigator.hardwareConcurrency, MAX_WORKERS) } = options;
  const tokenizerHash = cache === null ? "" : hashTokenizer(tokenizer);
  using held = new DisposableStack();
  const kept = held.use(new KeptFiles());
  if (cache !== null) held.use(await openCache(disk, cache, options.signal));
  const versions: FileVersion[] = [];
  const parts: Part[][] = [];
  for (const file of files) {
    const version = FileVersion.of(file.content);
    versions.push(version);
    const reading = readingOf(file, options);
    const shards = cache === null ? null : await ShardCache.open(
      { files: disk, root: cache, kept },
      file,
      encoding,
      tokenizerHash,
      reading,
    );
    parts.push(await partsOf(file, version, shards, readingOf(file, options)));
  }
  const all = parts.flat();
  const todo = all.filter(({ shard }) => shard === null);
  const progress = new Progress(all, options);
  const onRecords = (records: number) => progress.add(records);
  using preparers = new DisposableStack();
  const preparer = (): Preparer =>
    workers === 0
      ? new LocalPreparer(tokenizer, encoding, onRecords)
      : new WorkerPreparer(tokenizer, encoding, onRecords);
  const work = async () => {
    let own: Preparer | undefined;
    for (let part; (part = todo.shift()) !== undefined;) {
      own ??= preparers.use(preparer());
      const prepared = await own.prepare(part.file, part.block);
      // The cache is named by the content: a block of any other would be wrong for all later runs.
      part.version.refuseChange(part.file.path);
      part.shard = await part.keep(prepared);
      progress.finish(part.shard);
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, workers) }, work));
  const holding = held.move();
  return {
    files: files.map((file, i) => ({
      file,
      version: versions[i]!,
      shards: parts[i]!.map(({ shard }) => shard!),
    })),
    [Symbol.dispose]: () => holding.dispose(),
  };
}

async function openCache(
  files: Files,
  root: string,
  signal: AbortSignal | undefined,
): Promise<Disposable> {
  try {
    await files.makeFolder(root);
    return await useCache(files, root, signal);
  } catch (error) {
    throw cacheFailure(root, error);
  }
}

async function partsOf(
  file: DataFile,
  version: FileVersion,
  cache: ShardCache | null,
  reading: LongReading,
): Promise<Part[]> {
  using records = await openRecords(file);
  const blocks: Block[] = [];
  for await (const block of records.blocks()) {
    blocks.push(block);
    // The end of a Parquet block is in rows: its blocks come from the metadata, in no time.
    await reading.reach(block.end);
  }
  version.refuseChange(file.path);
  return blocks.map((block, number) => ({
    file,
    version,
    block,
    shard: cache?.load(number, block) ?? null,
    keep: (prepared) => cache?.save(number, block, prepared) ?? shardInMemory(prepared),
  }));
}

function readingOf({ path, content }: DataFile, watch: Watch): LongReading {
  return new LongReading(watch, path, sizeOf(content));
}

function sizeOf(path: string): number {
  using file = RandomAccessFile.open(path);
  return file.size;
}

/** How far a preparation has come. */
class Progress {
  readonly #options: PreparationOptions;
  readonly #parts: number;
  #done = 0;
  #records = 0;

  constructor(parts: readonly Part[], options: PreparationOptions) {
    this.#options = options;
    this.#parts = parts.length;
    for (const { shard } of parts) {
      if (shard === null) continue;
      this.#done++;
      this.#records += recordsOf(shard);
    }
  }

  /** Tells of `RECORDS_PER_TURN` records more, and serves timers and signals. */
  async add(records: number): Promise<void> {
    const { signal, onProgress } = this.#options;
    this.#records += records;
    await onProgress?.(this.#records, this.#done / this.#parts);
    await new Promise((resolve) => setTimeout(resolve, 0));
    if (signal?.aborted) throw new SpielError("interrupted", "Stopped while reading the data");
  }

  finish(shard: Shard): void {
    this.#done++;
    this.#records += recordsOf(shard) % RECORDS_PER_TURN;
  }
}

function recordsOf({ length, bad }: Shard): number {
  return bad.reasons.reduce((sum, { examples }) => sum + examples, length + bad.others);
}
