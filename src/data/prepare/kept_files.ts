/** Keeps files open of which parts are read again and again. */
import { RandomAccessFile } from "../../io/random_access.ts";

/** Fewer than any system lets a program open. */
const MOST_OPEN = 64;

/** Files by their path, those open that were read last. */
export class KeptFiles implements Disposable {
  /** Those that were read last at the end. */
  readonly #open = new Map<string, RandomAccessFile>();
  #isClosed = false;

  /**
   * Bytes of a file.
   *
   * @throws {SpielError} as `RandomAccessFile` does.
   */
  read(path: string, offset: number, length: number): Uint8Array<ArrayBuffer> {
    if (this.#isClosed) {
      using file = RandomAccessFile.open(path);
      return file.read(offset, length);
    }
    const file = this.#open.get(path) ?? RandomAccessFile.open(path);
    this.#open.delete(path);
    this.#open.set(path, file);
    if (this.#open.size > MOST_OPEN) this.#closeOldest();
    return file.read(offset, length);
  }

  /** Closes them; what is read afterwards is opened for that alone. */
  [Symbol.dispose](): void {
    this.#isClosed = true;
    while (this.#open.size > 0) this.#closeOldest();
  }

  #closeOldest(): void {
    for (const [path, file] of this.#open) {
      this.#open.delete(path);
      return file[Symbol.dispose]();
    }
  }
}
