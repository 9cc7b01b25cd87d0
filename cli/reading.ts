/** What people see while data is read and tokenised, which takes minutes where there is much of it. */

import { formatCount, formatDuration, formatShare } from "./format.ts";
import type { Ui } from "./ui.ts";

/** Between two lines where there is no status line. */
const PLAIN_INTERVAL_MS = 10_000;

/** How far a reading is. */
interface Reading {
  readonly data: string;
  readonly examples: number;
  readonly done: number;
}

/** Shows how far it is: in the status line, or in a line now and then where there is none. */
export class ReadingView {
  readonly #ui: Ui;
  #data = "";
  #began = 0;
  #doneBefore = 0;
  #shown = performance.now();

  /** @param ui Where it is shown. */
  constructor(ui: Ui) {
    this.#ui = ui;
  }

  /** Shows how far a file was gone through. */
  look({ path, done }: { readonly path: string; readonly done: number }): void {
    this.#tell(`looking at ${path}: ${formatShare(done)}`, performance.now());
  }

  /** Shows one state. */
  show({ data, examples, done }: Reading): void {
    const now = performance.now();
    if (data !== this.#data) {
      [this.#data, this.#began, this.#doneBefore, this.#shown] = [data, now, done, now];
    }
    const gained = done - this.#doneBefore;
    const left = (1 - done) * (now - this.#began) / gained / 1000;
    const rest = gained === 0 ? "" : `  ${formatShare(done)}  ETA ${formatDuration(left)}`;
    const text = `reading the ${data} data: ${formatCount(examples)}${rest}`;
    this.#tell(text, now);
  }

  #tell(text: string, now: number): void {
    if (this.#ui.interactive) return this.#ui.status(text);
    if (now - this.#shown < PLAIN_INTERVAL_MS) return;
    this.#shown = now;
    this.#ui.line(text);
  }
}
