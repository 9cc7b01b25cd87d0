/** Tells whether a file is still the one that it was. */
import { SpielError } from "../errors.ts";
import { readFailure } from "./random_access.ts";

/** A file as it was at one moment. */
export class FileVersion {
  readonly #path: string;
  readonly #state: string;

  private constructor(path: string) {
    this.#path = path;
    this.#state = stateOf(path);
  }

  /** @throws {SpielError} kind "data" when there is no such file, "environment" when Deno may not look at it. */
  static of(path: string): FileVersion {
    return new FileVersion(path);
  }

  /**
   * To be asked after each reading: what was read is then of the file as it was.
   *
   * @param name What messages call the file.
   * @throws {SpielError} kind "data" when it was written to or replaced meanwhile.
   */
  refuseChange(name: string): void {
    if (stateOf(this.#path) === this.#state) return;
    throw new SpielError(
      "data",
      `"${name}" was changed while it was read; expected it to stay as it is until all of it is read`,
    );
  }
}

function stateOf(path: string): string {
  try {
    const { dev, ino, size, mtime } = Deno.statSync(path);
    return [dev, ino, size, mtime?.getTime()].join();
  } catch (error) {
    throw readFailure(path, error);
  }
}
