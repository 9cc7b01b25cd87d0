/** Interrupts: the first one asks for a stop at the next step, the second one stops at once. */

import { EXIT_CODES } from "../mod.ts";

// No SIGHUP: who starts a run with nohup has it ignored, which listening would undo.
const SIGNALS: readonly Deno.Signal[] = Deno.build.os === "windows"
  ? ["SIGINT", "SIGBREAK"]
  : ["SIGINT", "SIGTERM"];

/**
 * Milliseconds in which further signals are the same interrupt: a terminal and `timeout` signal every process of a
 * group, and a task runner or a shell among them signals its own once more.
 */
const SAME_INTERRUPT_MS = 1000;

/** Listens while it is held; `signal` is aborted by the first interrupt. */
export class Interrupts implements Disposable {
  readonly #controller = new AbortController();
  #firstAt = 0;
  readonly #onSignal: () => void;

  /**
   * @param announce Called at the first interrupt.
   * @param farewell Called at the second one, right before the process ends.
   */
  constructor(announce: () => void, farewell: () => void = () => {}) {
    this.#onSignal = () => {
      if (this.#controller.signal.aborted) {
        if (performance.now() - this.#firstAt < SAME_INTERRUPT_MS) return;
        farewell();
        Deno.exit(EXIT_CODES.interrupted);
      }
      this.#firstAt = performance.now();
      this.#controller.abort();
      announce();
    };
    for (const name of SIGNALS) Deno.addSignalListener(name, this.#onSignal);
  }

  /** Aborted by the first interrupt. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    for (const name of SIGNALS) Deno.removeSignalListener(name, this.#onSignal);
  }
}
