/**
 * A `Files` over the real disk that fails, shortens or kills at the n-th call, and that can play a
 * power loss: what was not synced is then taken back.
 */

import { dirname, join } from "node:path";
import { type Files, type OutputFile } from "../../src/io/files.ts";
import { makeTempDir } from "./temp_dir.ts";

/** What happens at the call with number `at` (from 0; Infinity for never). */
export interface Fault {
  at: number;
  /**
   * - `error`: the call fails with `code` and has no effect; later calls work;
   * - `kill-before`, `kill-after`: the process "dies": this call (without or with its effect) and
   *   every later one throw, so that no clean-up code can run.
   */
  kind: "error" | "kill-before" | "kill-after";
  code?: string;
  /** Failing only calls of this name, counted among themselves. */
  call?: string;
}

/** Thrown by every call once the process is dead. */
export class Killed extends Error {}

/** How much of the un-synced work a power loss takes: only file content, or names as well. */
export type PowerLoss = "contents" | "everything";

/** A system error as Deno throws it. */
export function systemFailure(code: string): Error {
  return Object.assign(new Error(`injected ${code}`), { code });
}

interface PendingName {
  folder: string;
  undo: () => void;
}

/** Wraps `base`; every call of the interface, writes and syncs of open files included, is counted. */
export class FaultyFiles implements Files {
  /** Calls seen so far, by name and in order. */
  readonly calls: string[] = [];
  /** Writes take at most this many bytes per call. */
  maxWriteBytes = Infinity;
  #dead = false;
  readonly #trash = makeTempDir();
  /** Bytes known durable of each file with un-synced content. */
  readonly #unsyncedContents = new Map<string, number>();
  #pendingNames: PendingName[] = [];

  constructor(readonly base: Files, public fault: Fault = { at: Infinity, kind: "error" }) {}

  create(path: string): Promise<OutputFile> {
    return this.#call("create", async () => {
      const existed = await this.base.status(path) !== null;
      const file = await this.base.create(path);
      this.#unsyncedContents.set(path, 0);
      if (!existed) this.#nameChanged(path, () => Deno.removeSync(path));
      return this.#wrap(path, file);
    });
  }

  append(path: string): Promise<OutputFile> {
    return this.#call("append", async () => {
      const status = await this.base.status(path);
      const file = await this.base.append(path);
      if (!this.#unsyncedContents.has(path)) this.#unsyncedContents.set(path, status?.size ?? 0);
      if (!status) this.#nameChanged(path, () => Deno.removeSync(path));
      return this.#wrap(path, file);
    });
  }

  read(path: string): Promise<Uint8Array> {
    return this.#call("read", () => this.base.read(path));
  }

  async *readParts(path: string): AsyncGenerator<Uint8Array> {
    const parts = this.base.readParts(path)[Symbol.asyncIterator]();
    for (;;) {
      const { done, value } = await this.#call("read", () => parts.next());
      if (done) return;
      yield value;
    }
  }

  list(path: string): ReturnType<Files["list"]> {
    return this.#call("list", () => this.base.list(path));
  }

  status(path: string): ReturnType<Files["status"]> {
    return this.#call("status", () => this.base.status(path));
  }

  makeFolder(path: string): Promise<void> {
    return this.#call("makeFolder", async () => {
      if (await this.base.status(path)) return;
      await this.base.makeFolder(path);
      this.#nameChanged(path, () => Deno.removeSync(path, { recursive: true }));
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.#call("rename", async () => {
      const replaced = await this.base.status(to) ? this.#trashName() : null;
      if (replaced) Deno.renameSync(to, replaced);
      await this.base.rename(from, to);
      this.#moveUnsynced(from, to);
      this.#nameChanged(to, () => {
        Deno.renameSync(to, from);
        this.#moveUnsynced(to, from);
        if (replaced) Deno.renameSync(replaced, to);
      });
    });
  }

  remove(path: string): Promise<void> {
    return this.#call("remove", async () => {
      if (!await this.base.status(path)) return;
      const removed = this.#trashName();
      Deno.renameSync(path, removed);
      this.#nameChanged(path, () => Deno.renameSync(removed, path));
    });
  }

  removeFolder(path: string): Promise<void> {
    return this.#call("removeFolder", async () => {
      await this.base.removeFolder(path);
      this.#nameChanged(path, () => Deno.mkdirSync(path));
    });
  }

  syncFolder(path: string): Promise<void> {
    return this.#call("syncFolder", async () => {
      await this.base.syncFolder(path);
      this.#pendingNames = this.#pendingNames.filter(({ folder }) => folder !== path);
    });
  }

  lock(...args: Parameters<Files["lock"]>): ReturnType<Files["lock"]> {
    return this.#call("lock", () => this.base.lock(...args));
  }

  /** Takes back what was not durable. Call when the process is dead. */
  losePower(extent: PowerLoss): void {
    for (const [path, durableBytes] of this.#unsyncedContents) {
      try {
        const half = Math.floor((durableBytes + Deno.statSync(path).size) / 2);
        Deno.truncateSync(path, half);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
    if (extent === "contents") return;
    for (const { undo } of this.#pendingNames.reverse()) undo();
    this.#pendingNames = [];
  }

  /** Removes what the wrapper keeps aside. */
  [Symbol.dispose](): void {
    Deno.removeSync(this.#trash, { recursive: true });
  }

  #wrap(path: string, file: OutputFile): OutputFile {
    return {
      write: (bytes) =>
        this.#call("write", () => file.write(bytes.subarray(0, this.maxWriteBytes))),
      sync: () =>
        this.#call("sync", async () => {
          await file.sync();
          this.#unsyncedContents.delete(path);
        }),
      close: () => file.close(),
    };
  }

  async #call<T>(name: string, act: () => Promise<T>): Promise<T> {
    if (this.#dead) throw new Killed("dead");
    const { call, at, kind, code } = this.fault;
    const counted = call ? this.calls.filter((seen) => seen === call).length : this.calls.length;
    const hit = (!call || call === name) && counted === at;
    this.calls.push(name);
    if (!hit) return await act();
    if (kind === "error") throw systemFailure(code ?? "EIO");
    this.#dead = true;
    if (kind === "kill-after") {
      const result = await act();
      if (typeof result === "object" && result !== null && "close" in result) {
        (result as unknown as OutputFile).close();
      }
    }
    throw new Killed(`killed ${kind === "kill-after" ? "after" : "before"} ${name} ${at}`);
  }

  #nameChanged(path: string, undo: () => void): void {
    this.#pendingNames.push({ folder: dirname(path), undo });
  }

  #moveUnsynced(from: string, to: string): void {
    for (const [path, size] of [...this.#unsyncedContents]) {
      if (path !== from && !path.startsWith(from + "/")) continue;
      this.#unsyncedContents.delete(path);
      this.#unsyncedContents.set(to + path.slice(from.length), size);
    }
  }

  #trashName(): string {
    return join(this.#trash, String(this.calls.length) + "-" + crypto.randomUUID());
  }
}
