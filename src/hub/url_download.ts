/** Downloads one file of the web, of which nothing is known before: goes on where an earlier answer broke off. */

import { createHash } from "node:crypto";
import { SpielError } from "../errors.ts";
import { type OutputFile, writeAll } from "../io/files.ts";
import { publishFile } from "../io/publish.ts";
import { isFile, readJsonObject } from "../io/random_access.ts";
import { incompletePath } from "./blob.ts";
import type { Clock } from "./clock.ts";
import type { HubDisk } from "./disk.ts";
import { type Answer, request } from "./http.ts";
import { retryAfterOf, type RetryPolicy, Temporary, withRetries } from "./retry.ts";
import type { HubSettings } from "./settings.ts";

/** What is noted of a file that is there. */
export interface Noted {
  /** What the server called the content; null where it gave it no name. */
  readonly etag: string | null;
  readonly bytes: number;
}

/** What is downloaded, where to, and how. */
export interface UrlParts {
  readonly url: URL;
  /** For messages. */
  readonly name: string;
  readonly path: string;
  /** Of what is there already; null where nothing is. */
  readonly note: Noted | null;
  readonly settings: HubSettings;
  readonly clock: Clock;
  readonly policy: RetryPolicy;
  readonly signal: AbortSignal | undefined;
  readonly disk: HubDisk;
  readonly tell: (progress: { bytes: number; totalBytes: number; waiting?: string }) => void;
}

/** Statuses that may pass by themselves. */
const PASSING: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);
/** Changes of the content on the way, after which it is given up. */
const MAX_RESTARTS = 3;

/** One download. */
export class UrlDownload {
  readonly #parts: UrlParts;
  readonly #doing: string;
  #offset = 0;
  /** What the server calls the content. */
  #etag: string | null = null;
  /** Bytes of the whole, where the server tells. */
  #total: number | null = null;
  #restarts = 0;

  constructor(parts: UrlParts) {
    this.#parts = parts;
    this.#doing = `download "${parts.name}"`;
  }

  /**
   * Brings the file; what is there already is taken when the server says that it is unchanged.
   *
   * @throws {SpielError} as `downloadUrl` does; the system's error where the disk fails.
   */
  async run(): Promise<Noted> {
    await this.#goOn();
    const { clock, policy, signal, disk, path } = this.#parts;
    const retrying = { clock, policy, signal, onWaiting: this.#onWaiting };
    const bytes = () => this.#offset;
    const found = await withRetries(this.#doing, retrying, () => this.#attempt(), bytes);
    if (found === this.#parts.note) return found;
    // A run may be reading what is there.
    if (await hasSameBytes(disk, path, incompletePath(path))) {
      await disk.remove(incompletePath(path));
    } else {
      await disk.rename(incompletePath(path), path);
    }
    await disk.remove(this.#partNote);
    return found;
  }

  readonly #onWaiting = (waiting: string): void => this.#tell(waiting === "" ? {} : { waiting });

  /** Whether the content's name stands for its very bytes; a weak one may stand for others. */
  get #isNamed(): boolean {
    return this.#etag?.startsWith('"') ?? false;
  }

  /** What tells of the content whose beginning is there. */
  get #partNote(): string {
    return `${incompletePath(this.#parts.path)}.json`;
  }

  /** Takes up what an earlier download has left, where it is known of which content that is. */
  async #goOn(): Promise<void> {
    const { disk, path } = this.#parts;
    const status = await disk.status(incompletePath(path));
    if (status === null || !isFile(this.#partNote)) return;
    const { etag, total } = readJsonObject(this.#partNote);
    if (typeof etag !== "string" || !Number.isSafeInteger(total)) return;
    if (status.size > (total as number)) return;
    this.#etag = etag;
    this.#offset = status.size;
    this.#total = total as number;
  }

  async #noteBeginning(): Promise<void> {
    if (!this.#isNamed || this.#total === null) return;
    const text = JSON.stringify({ etag: this.#etag, total: this.#total });
    await publishFile(this.#parts.disk, this.#partNote, new TextEncoder().encode(text));
  }

  async #attempt(): Promise<Noted> {
    const { url, note } = this.#parts;
    // Without its name nothing says that a part and the rest of it are of the same content.
    const goesOn = this.#offset > 0 && this.#isNamed;
    if (!goesOn) this.#forget();
    const headers: Record<string, string> = goesOn
      ? { range: `bytes=${this.#offset}-`, "if-range": this.#etag! }
      : note?.etag
      ? { "if-none-match": note.etag }
      : {};
    const http = { ...this.#parts, onWaiting: this.#onWaiting };
    await using answer = await request(http, this.#doing, url.href, headers);
    if (answer.status === 304 && note !== null) return note;
    this.#check(answer);
    await this.#receive(answer);
    return { etag: this.#etag, bytes: this.#offset };
  }

  #check(answer: Answer): void {
    const { status, headers, host } = answer;
    if (PASSING.has(status)) {
      const now = this.#parts.clock.now();
      throw new Temporary(`${host} answered ${status}`, retryAfterOf(headers, now));
    }
    if (status === 416) throw this.#restart(`${host} has no bytes from ${this.#offset} on`);
    if (status !== 200 && status !== 206) {
      throw new SpielError("data", `Cannot ${this.#doing}: ${host} answered ${status}`);
    }
    if (/^text\/html\b/i.test(headers.get("content-type") ?? "")) {
      throw new SpielError("data", `"${this.#parts.name}" is a web page; expected a file of data`);
    }
    const [, from, total] =
      /^bytes (\d+)-\d*\/(\d+|\*)$/.exec(headers.get("content-range") ?? "") ??
        [];
    if (status === 200) this.#forget();
    else if (Number(from) !== this.#offset) {
      throw this.#restart(`${host} sends bytes from ${from ?? "?"} on, expected ${this.#offset}`);
    }
    this.#etag = headers.get("etag");
    const length = headers.get("content-length");
    if (total !== undefined && total !== "*") this.#total = Number(total);
    else if (length !== null && !headers.has("content-encoding")) {
      this.#total = this.#offset + Number(length);
    }
  }

  async #receive(answer: Answer): Promise<void> {
    const { disk, path } = this.#parts;
    let file: OutputFile | undefined;
    try {
      await this.#noteBeginning();
      file = await disk.resume(incompletePath(path), this.#offset);
      for await (const part of answer.body()) {
        await writeAll(file, part);
        this.#offset += part.length;
        this.#tell();
        if (this.#total !== null && this.#offset > this.#total) {
          throw this.#restart(
            `${answer.host} sends more than the ${this.#total} bytes it tells of`,
          );
        }
      }
      if (this.#total !== null && this.#offset < this.#total) {
        const at = `${this.#offset} of ${this.#total} bytes`;
        throw new Temporary(`the connection to ${answer.host} ended after ${at}`);
      }
      await file.sync();
    } finally {
      file?.close();
    }
  }

  #forget(): void {
    this.#offset = 0;
    this.#etag = null;
    this.#total = null;
  }

  /** Begins over; gives up on a server that sends this and that. */
  #restart(reason: string): Error {
    this.#forget();
    if (++this.#restarts < MAX_RESTARTS) return new Temporary(reason);
    return new SpielError("data", `Cannot ${this.#doing}: ${reason}, again and again`);
  }

  #tell(waiting: { waiting?: string } = {}): void {
    const totalBytes = this.#total ?? 0;
    this.#parts.tell({ bytes: this.#offset, totalBytes, ...waiting });
  }
}

/** Whether two files are there and have the same content. */
async function hasSameBytes(disk: HubDisk, first: string, second: string): Promise<boolean> {
  const size = (await disk.status(first))?.size;
  if (size === undefined || size !== (await disk.status(second))?.size) return false;
  return await digestOf(disk, first) === await digestOf(disk, second);
}

async function digestOf(disk: HubDisk, path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const part of disk.readParts(path)) hash.update(part);
  return hash.digest("hex");
}
