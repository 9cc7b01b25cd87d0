/** Readings of whole files that take minutes where these are large: they can be followed, and stopped. */
import { SpielError } from "../../errors.ts";

/** Who follows a long reading. */
export interface Watch {
  /** Stops it. */
  readonly signal?: AbortSignal | undefined;
  /** Told from time to time which share of a file was gone through, 0 to 1, and awaited. */
  readonly onLooking?: ((path: string, share: number) => void | Promise<void>) | undefined;
}

/** Bytes between two pauses: few enough to stop at once, as many as make no pause count. */
const BYTES_PER_PAUSE = 16 * 1024 * 1024;

/** One reading through a file. */
export class LongReading {
  readonly #watch: Watch;
  readonly #path: string;
  readonly #size: number;
  #next = BYTES_PER_PAUSE;

  /**
   * @param path What messages call the file.
   * @param size Bytes in it.
   */
  constructor(watch: Watch, path: string, size: number) {
    this.#watch = watch;
    this.#path = path;
    this.#size = size;
  }

  /**
   * The reading has come to `at`. Now and then timers and signals are served.
   *
   * @throws {SpielError} kind "interrupted" when the signal has fired.
   */
  async reach(at: number): Promise<void> {
    if (at < this.#next) return;
    this.#next = at + BYTES_PER_PAUSE;
    await this.#watch.onLooking?.(this.#path, at / this.#size);
    await new Promise((resolve) => setTimeout(resolve, 0));
    if (this.#watch.signal?.aborted) {
      throw new SpielError("interrupted", "Stopped while looking at the data");
    }
  }
}
