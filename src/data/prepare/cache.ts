/** The shards of one data file in the cache: a folder named by all that they depend on. */
import { createHash, randomUUID } from "node:crypto";
import { join } from "node:path";
import { removeAbandoned } from "../../io/abandoned.ts";
import { type Files, storageError, writeAll } from "../../io/files.ts";
import { TEMPORARY_PREFIX } from "../../io/publish.ts";
import { noteUse } from "../../io/cache_use.ts";
import { canonicalJson } from "../../io/canonical_json.ts";
import { isSpielError, SpielError } from "../../errors.ts";
import { VERSION } from "../../version.ts";
import type { DataFile } from "../data_files.ts";
import type { Block, LongReading } from "../files/mod.ts";
import type { Tokenizer } from "../tokenizer.ts";
import type { Encoding, PreparedBlock } from "./block.ts";
import type { KeptFiles } from "./kept_files.ts";
import { loadShard, type Shard, shardContent } from "./shard.ts";

/** To be raised by whoever changes what a record becomes, or a shard's form, between two versions of the program. */
const PREPARATION = 4;

/** What shards are kept in. */
export interface CacheParts {
  readonly files: Files;
  /** The folder of the cache. */
  readonly root: string;
  /** By what their files are kept open. */
  readonly kept: KeptFiles;
}

/** Shards in the cache. Another program may make the same ones meanwhile. */
export class ShardCache {
  readonly #files: Files;
  readonly #folder: string;
  readonly #kept: KeptFiles;

  private constructor({ files, kept }: CacheParts, folder: string) {
    this.#files = files;
    this.#folder = folder;
    this.#kept = kept;
  }

  /**
   * Opens the folder of a file's shards, made when missing.
   *
   * @param tokenizerHash See `hashTokenizer`.
   * @param reading Follows the reading of the file.
   * @throws {SpielError} kind "storage" or "environment" when it cannot be made; "data" when the file cannot be read.
   */
  static async open(
    parts: CacheParts,
    file: DataFile,
    encoding: Encoding,
    tokenizerHash: string,
    reading: LongReading,
  ): Promise<ShardCache> {
    const { files, root } = parts;
    const content = createHash("sha256");
    let read = 0;
    try {
      for await (const part of files.readParts(file.content)) {
        content.update(part);
        await reading.reach(read += part.length);
      }
    } catch (cause) {
      if (isSpielError(cause)) throw cause;
      throw new SpielError("data", `"${file.path}" cannot be read: ${String(cause)}`, { cause });
    }
    const key = canonicalJson({
      version: [VERSION, PREPARATION],
      content: content.digest("hex"),
      kind: file.kind.name,
      format: file.format.name,
      tokenizer: tokenizerHash,
      encoding,
    });
    const name = createHash("sha256").update(key).digest("hex");
    const cache = new ShardCache(parts, join(root, "tokens", name));
    await cache.#begin();
    return cache;
  }

  /** The shard of a block; null where it must be made. */
  load(number: number, block: Block): Shard | null {
    return loadShard(this.#path(number), block, this.#kept);
  }

  /** Keeps the shard of a block: all of it or nothing. A loss of power may take it again, which `load` sees. */
  async save(number: number, block: Block, prepared: PreparedBlock): Promise<Shard> {
    const path = this.#path(number);
    const temporary = join(this.#folder, TEMPORARY_PREFIX + randomUUID());
    try {
      const file = await this.#files.create(temporary);
      try {
        for await (const part of shardContent(block, prepared)) await writeAll(file, part);
      } finally {
        file.close();
      }
      await this.#files.rename(temporary, path);
    } catch (error) {
      await this.#files.remove(temporary).catch(() => {});
      throw cacheFailure(this.#folder, error);
    }
    const shard = this.load(number, block);
    if (shard !== null) return shard;
    throw new SpielError("storage", `"${path}" is not what was written to it; look at the disk`);
  }

  #path(number: number): string {
    return join(this.#folder, `shard-${String(number).padStart(8, "0")}.safetensors`);
  }

  async #begin(): Promise<void> {
    try {
      await this.#files.makeFolder(this.#folder);
      noteUse(this.#folder);
      await removeAbandoned(this.#files, this.#folder);
    } catch (error) {
      throw cacheFailure(this.#folder, error);
    }
  }
}

/** What a failure of the disk means in a folder of the cache. */
export function cacheFailure(folder: string, error: unknown): SpielError {
  const doing = `Cannot keep prepared data in "${folder}", ` +
    "for which SPIEL_CACHE may name another place than this cache";
  return storageError(doing, error);
}

/** SHA-256 (hex) of all that a tokenizer does, wherever it was loaded from. */
export function hashTokenizer({ parts }: Tokenizer): string {
  const { where: _where, templateWhere: _templateWhere, lists: _lists, ...rest } = parts;
  return createHash("sha256").update(JSON.stringify(rest)).digest("hex");
}
