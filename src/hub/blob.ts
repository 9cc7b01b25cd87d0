/** Downloads one content: goes on where an earlier download stopped, and gives it its name only when its hash is right. */

import { createHash, type Hash } from "node:crypto";
import { dirname } from "node:path";
import { SpielError } from "../errors.ts";
import { isNotFound, type OutputFile, storageError, writeAll } from "../io/files.ts";
import type { HubDisk } from "./disk.ts";
import { type Answer, request } from "./http.ts";
import type { Asking, ContentId } from "./listing.ts";
import type { HubName } from "./name.ts";
import { refusalOf } from "./refusals.ts";
import { Temporary, withRetries } from "./retry.ts";

/** What to download, and where to. */
export interface BlobJob {
  readonly name: HubName;
  /** Its path in the repository, for messages. */
  readonly file: string;
  readonly url: string;
  readonly size: number;
  readonly id: ContentId;
  /** The path that it gets when it is complete. */
  readonly path: string;
  /** Told how many bytes of it are there. */
  readonly onBytes: (bytes: number) => void;
}

/** Beginnings over, after which what the server sends is not believed any more. */
const MAX_RESTARTS = 3;

/** Where an unfinished content lies. */
export function incompletePath(path: string): string {
  return `${path}.incomplete`;
}

/**
 * Downloads a content that nobody else is downloading.
 *
 * @throws {SpielError} `interrupted` when the server fails too often, `data` when it sends something else, `storage`
 * when the disk fails. What has come stays and is gone on from.
 */
export async function downloadBlob(job: BlobJob, disk: HubDisk, asking: Asking): Promise<void> {
  const download = new BlobDownload(job, disk, asking);
  await download.run();
}

class BlobDownload {
  readonly #job: BlobJob;
  readonly #disk: HubDisk;
  readonly #asking: Asking;
  readonly #doing: string;
  #hash: Hash;
  #offset = 0;
  /** The most that was ever there: what is sent once more is no progress. */
  #furthest = 0;
  #restarts = 0;
  /** What the server that has the content called it; another name means another content. */
  #etag: string | null = null;

  constructor(job: BlobJob, disk: HubDisk, asking: Asking) {
    this.#job = job;
    this.#disk = disk;
    this.#asking = asking;
    this.#doing = `download "${job.file}" of ${job.name.repo}`;
    this.#hash = newHash(job);
  }

  async run(): Promise<void> {
    await this.#goOn();
    const bytes = () => this.#furthest;
    await withRetries(this.#doing, this.#asking, () => this.#attempt(), bytes);
    const { path } = this.#job;
    await this.#onDisk(async () => {
      await this.#disk.rename(incompletePath(path), path);
      await this.#disk.syncFolder(dirname(path));
    });
  }

  /** Takes up what an earlier download has left. */
  async #goOn(): Promise<void> {
    const { path, size } = this.#job;
    const partial = incompletePath(path);
    try {
      for await (const part of this.#disk.readParts(partial)) {
        if (this.#offset + part.length > size) return this.#forget();
        this.#take(part);
        this.#asking.signal?.throwIfAborted();
      }
    } catch (error) {
      this.#forget();
      if (!isNotFound(error) && !this.#asking.signal?.aborted) throw this.#storageError(error);
    }
  }

  #take(part: Uint8Array): void {
    this.#hash.update(part);
    this.#offset += part.length;
    this.#furthest = Math.max(this.#furthest, this.#offset);
    this.#job.onBytes(this.#offset);
  }

  #forget(): void {
    this.#hash = newHash(this.#job);
    this.#offset = 0;
    this.#etag = null;
    this.#job.onBytes(0);
  }

  /** Begins over; gives up on a server that sends this and that. */
  #restart(reason: string): Temporary {
    this.#forget();
    if (++this.#restarts < MAX_RESTARTS) return new Temporary(reason);
    throw new SpielError("data", `Cannot ${this.#doing}: ${reason}, again and again`);
  }

  async #attempt(): Promise<void> {
    const { size, url } = this.#job;
    if (this.#offset < size || size === 0) {
      const range = this.#offset > 0 ? { range: `bytes=${this.#offset}-` } : {};
      await using answer = await request(this.#asking, this.#doing, url, range);
      this.#check(answer);
      await this.#receive(answer);
    }
    const { algorithm, hex } = this.#job.id;
    const digest = this.#hash.copy().digest("hex");
    if (digest === hex) return;
    const name = algorithm === "sha256" ? "SHA-256" : "git SHA-1";
    throw this.#restart(`its ${name} is ${digest}, expected ${hex}`);
  }

  /** Sees that an answer goes on where we are, in the same content. */
  #check(answer: Answer): void {
    const { status, headers, hubHeaders, isFromHub, host } = answer;
    const { name, size, id } = this.#job;
    if (status === 416) throw this.#restart(`${host} has no bytes from ${this.#offset} on`);
    if (status !== 200 && status !== 206) {
      throw refusalOf(answer, name, this.#asking.settings, this.#doing, this.#asking.clock.now());
    }
    const linked = etagOf(hubHeaders, "x-linked-etag") ??
      (isFromHub ? etagOf(headers, "etag") : null);
    if (linked !== null && linked !== id.hex) {
      throw this.#restart(`${host} has another content (${linked}) than it lists (${id.hex})`);
    }
    const etag = etagOf(headers, "etag");
    const isOther = this.#etag !== null && etag !== null && etag !== this.#etag;
    if (this.#offset > 0 && isOther) throw this.#restart(`it has changed at ${host} meanwhile`);
    // A server that knows no ranges sends the whole of it.
    if (status === 200 && this.#offset > 0) this.#forget();
    this.#etag = etag;
    const [, from, total] =
      /^bytes (\d+)-\d*\/(\d+|\*)$/.exec(headers.get("content-range") ?? "") ??
        [];
    if (status === 206 && Number(from) !== this.#offset) {
      throw this.#restart(`${host} sends bytes from ${from ?? "?"} on, expected ${this.#offset}`);
    }
    const length = headers.get("content-length");
    const told = total !== undefined && total !== "*"
      ? Number(total)
      : length === null || headers.has("content-encoding")
      ? size
      : this.#offset + Number(length);
    if (told > size) {
      throw this.#restart(`${host} has ${told} bytes of it, expected ${size}`);
    }
  }

  async #receive(answer: Answer): Promise<void> {
    const { path, size } = this.#job;
    let file: OutputFile | undefined;
    try {
      file = await this.#disk.resume(incompletePath(path), this.#offset);
      for await (const part of answer.body()) {
        if (this.#offset + part.length > size) {
          throw this.#restart(`${answer.host} sends more than the ${size} bytes that it lists`);
        }
        await writeAll(file, part);
        this.#take(part);
      }
      if (this.#offset < size) {
        const at = `${this.#offset} of ${size} bytes`;
        throw new Temporary(`the connection to ${answer.host} ended after ${at}`);
      }
      await file.sync();
    } catch (error) {
      if (error instanceof Temporary || this.#asking.signal?.aborted) throw error;
      throw this.#storageError(error);
    } finally {
      file?.close();
    }
  }

  async #onDisk(act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      throw this.#storageError(error);
    }
  }

  #storageError(error: unknown): SpielError {
    const { file, name, path } = this.#job;
    return storageError(`Cannot save "${file}" of ${name.repo} in "${dirname(path)}"`, error);
  }
}

function newHash({ id, size }: BlobJob): Hash {
  if (id.algorithm === "sha256") return createHash("sha256");
  return createHash("sha1").update(`blob ${size}\0`);
}

function etagOf(headers: Headers, name: string): string | null {
  return headers.get(name)?.replace(/^W\//, "").replaceAll('"', "") || null;
}
