/** The threads of the WASM engine: workers that run them in the module's shared memory. */

import type { Worker } from "node:worker_threads";
import type { Workers } from "../../lib/spiel_engine.js";

/** Most threads of an engine that is not told how many: workers start one after the other, on the caller's time. */
const MOST = 8;

/** Milliseconds that are never over. */
const LONG_MS = 2 ** 31 - 1;

/** Milliseconds within which workers run or never will: one that waits for a lost lock says nothing. */
const START_MS = 60_000;

/** What a worker is given. */
interface WorkerStart {
  readonly module: WebAssembly.Module;
  /** Where the module's instances have everything in common. */
  readonly memory: WebAssembly.Memory;
  /** What `runThread` takes. */
  readonly thread: number;
  /** When the caller's clock began. */
  readonly timeOrigin: number;
}

/** What a worker says: that its thread begins to run, or why it has failed. */
interface WorkerNews {
  readonly failure?: string;
}

/** The exports of the module that a thread needs. */
interface ThreadExports {
  /** Gives the instance a stack and thread-local memory of its own. */
  __wbindgen_start(): void;
  /** Returns when the engine is freed. */
  runThread(thread: number): void;
  /** Frees what the start has given. */
  __wbindgen_thread_destroy(): void;
}

/**
 * A worker's program. Its text is all that a worker gets, at an address of its own text, which Deno loads without a
 * permission: nothing outside is to be had. Of JavaScript, threads need a clock.
 */
async function work(): Promise<void> {
  const { parentPort, workerData } = await import("node:worker_threads");
  const { module, memory, thread, timeOrigin } = workerData as WorkerStart;
  const say = (news: WorkerNews) => parentPort?.postMessage(news);
  const provided = (name: string): () => unknown => {
    // Threads read what others have begun, by one clock.
    const ahead = performance.timeOrigin - timeOrigin;
    if (name.startsWith("__wbg_now_")) return () => performance.now() + ahead;
    // Where an instance keeps values of JavaScript, of which threads have none.
    if (name === "__wbindgen_init_externref_table") return () => {};
    return () => {
      throw new Error(`a thread called ${name}`);
    };
  };
  try {
    const imports: Record<string, Record<string, WebAssembly.ImportValue>> = {};
    for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
      (imports[from] ??= {})[name] = kind === "memory" ? memory : provided(name);
    }
    const instance = new WebAssembly.Instance(module, imports);
    const exports = instance.exports as unknown as ThreadExports;
    exports.__wbindgen_start();
    say({});
    exports.runThread(thread);
    exports.__wbindgen_thread_destroy();
  } catch (error) {
    say({ failure: error instanceof Error ? error.message : String(error) });
  }
}

/**
 * The workers of one engine. They end when it is freed, and keep no process alive but while a call waits for them.
 *
 * None is ever ended from outside: it might hold a lock that lies in the memory of all engines.
 */
export class EngineWorkers implements Workers {
  readonly most = Math.min(navigator.hardwareConcurrency, MOST);
  #failure: Error | undefined;
  /** Hears of the first failure. */
  #onFailure: ((failure: Error) => void) | undefined;

  /** Starts a worker for each of the threads. Returns what keeps one of them from running, if anything does. */
  async start(
    module: WebAssembly.Module,
    memory: WebAssembly.Memory,
    threads: Uint32Array,
  ): Promise<string | undefined> {
    const { Worker } = await import("node:worker_threads");
    const program = new URL(`data:text/javascript,${encodeURIComponent(`(${work})();`)}`);
    const { timeOrigin } = performance;
    const workers = Array.from(threads, (thread) => {
      const workerData: WorkerStart = { module, memory, thread, timeOrigin };
      return new Worker(program, { workerData });
    });
    const { promise: tooLate, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new Error("a worker does not start")), START_MS);
    try {
      await Promise.race([tooLate, Promise.all(workers.map((worker) => this.#running(worker)))]);
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    } finally {
      // Nothing keeps the process once all have started or one has failed: no timer, and no worker that has yet to start.
      clearTimeout(timer);
      for (const worker of workers) worker.unref();
    }
  }

  /** Resolves when the worker's thread begins to run. */
  #running(worker: Worker): Promise<void> {
    return new Promise((resolve, reject) => {
      let fail = reject;
      worker.on("error", (failure: Error) => fail(failure));
      worker.on("message", ({ failure }: WorkerNews) => {
        if (failure !== undefined) return fail(new Error(failure));
        fail = (failure) => this.#fail(failure);
        resolve();
      });
    });
  }

  #fail(failure: Error): void {
    this.#failure ??= failure;
    this.#onFailure?.(this.#failure);
  }

  /**
   * Waits for what the workers do.
   *
   * @throws Whatever a worker has failed with, or `done` rejects with.
   */
  async wait(done: Promise<void>): Promise<void> {
    // What the module waits for, a change of its memory, does not keep the process alive.
    const alive = setInterval(() => {}, LONG_MS);
    try {
      await new Promise<void>((resolve, reject) => {
        if (this.#failure !== undefined) return reject(this.#failure);
        this.#onFailure = reject;
        done.then(resolve, reject);
      });
    } finally {
      clearInterval(alive);
    }
  }
}
