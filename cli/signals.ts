/** Interrupts: the first one asks for a stop at the next step, the second one stops at once. */

import { EXIT_CODES } from "../mod.ts";

// No SIGHUP: who starts a run with nohup has it ignored, which listening would undo.
const SIGNALS: readonly Deno.Signal[] = Deno.build.os === "windows"
  ? ["SIGINT", "SIGBREAK"]
  : ["SIGINT", "SIGTERM"];

/** Listens while it is held; `signal` is aborted by the first interrupt. */
export class Interrupts implements Disposable {
  readonly #controller = new AbortController();
  readonly #onSignal: () => void;

  /**
   * @param announce Called at the first interrupt.
   * @param farewell Called at the second one, right before the process ends.
   */
  constructor(announce: () => void, farewell: () => void = () => {}) {
    this.#onSignal = () => {
      if (this.#controller.signal.aborted) {
        farewell();
        Deno.exit(EXIT_CODES.interrupted);
      }
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
