/** Random reads from a file on disk, with errors that name the file. */
import { SpielError } from "../errors.ts";
import { missingPermission } from "./permission.ts";

/** More than any configuration takes. An adapter's has about 60 bytes per module, of which models have thousands. */
export const MAX_CONFIG_BYTES = 16 << 20;

/** A file kept open for reading ranges. Close it with `using` or `[Symbol.dispose]()`. */
export class RandomAccessFile implements Disposable {
  readonly path: string;
  /** Bytes in the file when it was opened. */
  readonly size: number;
  readonly #file: Deno.FsFile;
  #open = true;

  private constructor(path: string, size: number, file: Deno.FsFile) {
    this.path = path;
    this.size = size;
    this.#file = file;
  }

  /**
   * Opens a regular file.
   *
   * @throws {SpielError} kind "data" when it cannot be opened, "environment" when Deno may not read it.
   */
  static open(path: string): RandomAccessFile {
    let file: Deno.FsFile | undefined;
    try {
      // To open a pipe would wait for who writes to it.
      const { isFile, isDirectory } = Deno.statSync(path);
      if (!isFile && !isDirectory) {
        throw new SpielError("data", `"${path}" is a pipe or a device; expected a file`);
      }
      file = Deno.openSync(path, { read: true });
      const stat = file.statSync();
      if (stat.isDirectory) throw new SpielError("data", `"${path}" is a folder; expected a file`);
      return new RandomAccessFile(path, stat.size, file);
    } catch (error) {
      file?.close();
      throw readFailure(path, error);
    }
  }

  /**
   * Reads exactly `length` bytes from `offset`.
   *
   * @param into A buffer of at least `length` bytes to put them in: new memory is filled at half the speed.
   * @throws {SpielError} kind "data" when the range does not lie inside the file.
   */
  read(
    offset: number,
    length: number,
    into?: Uint8Array<ArrayBuffer>,
  ): Uint8Array<ArrayBuffer> {
    if (
      !Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < 0 || length < 0 ||
      offset + length > this.size
    ) {
      throw new SpielError(
        "data",
        `${this.path}: cannot read ${length} bytes at ${offset}; the file has ${this.size} bytes`,
      );
    }
    const bytes = into?.subarray(0, length) ?? new Uint8Array(length);
    try {
      this.#file.seekSync(offset, Deno.SeekMode.Start);
      let filled = 0;
      while (filled < length) {
        const count = this.#file.readSync(bytes.subarray(filled));
        if (count === null) {
          throw new SpielError("data", `${this.path} ended at byte ${offset + filled} while read`);
        }
        filled += count;
      }
    } catch (error) {
      throw readFailure(this.path, error);
    }
    return bytes;
  }

  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    this.#file.close();
  }
}

/**
 * Reads a text file of at most `maxBytes` as strict UTF-8.
 *
 * @throws {SpielError} kind "data" naming the file when it is missing, too large or not UTF-8.
 */
export function readTextFile(path: string, maxBytes: number): string {
  using file = RandomAccessFile.open(path);
  if (file.size > maxBytes) {
    throw new SpielError("data", `${path} has ${file.size} bytes; expected at most ${maxBytes}`);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(file.read(0, file.size));
  } catch (cause) {
    if (cause instanceof SpielError) throw cause;
    throw new SpielError("data", `${path} is not valid UTF-8 text`, { cause });
  }
}

/**
 * Reads a JSON file whose top level is an object.
 *
 * @throws {SpielError} kind "data" naming the file and what is wrong with it.
 */
export function readJsonObject(
  path: string,
  maxBytes = MAX_CONFIG_BYTES,
): Record<string, unknown> {
  return parseJsonObject(readTextFile(path, maxBytes), path);
}

/** Parses a JSON object; `where` names it in the error. */
export function parseJsonObject(text: string, where: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SpielError("data", `${where} is not valid JSON: ${reason}`, { cause });
  }
  if (!isObject(value)) throw new SpielError("data", `${where} is not a JSON object`);
  return value;
}

/** True for a JSON object: neither null nor an array. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** True when the path names a regular file (links followed). */
export function isFile(path: string): boolean {
  return statOrNull(path)?.isFile ?? false;
}

/** True when the path names a folder (links followed). */
export function isFolder(path: string): boolean {
  return statOrNull(path)?.isDirectory ?? false;
}

/**
 * The names in a folder, in no order.
 *
 * @throws {SpielError} kind "data" when it cannot be read, "environment" when Deno may not.
 */
export function namesIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch (error) {
    throw readFailure(folder, error);
  }
}

function statOrNull(path: string): Deno.FileInfo | null {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return null;
    }
    throw readFailure(path, error);
  }
}

/** The error to show for a file that cannot be read. */
export function readFailure(path: string, error: unknown): SpielError {
  if (error instanceof SpielError) return error;
  const cause = { cause: error };
  if (error instanceof Deno.errors.NotFound) {
    return new SpielError("data", `"${path}" does not exist`, cause);
  }
  if (error instanceof Deno.errors.NotCapable) {
    const flag = missingPermission(error.message);
    const message = `"${path}" may not be read: add ${flag} to the deno command`;
    return new SpielError("environment", message, cause);
  }
  const reason = error instanceof Error ? error.message : String(error);
  return new SpielError("data", `"${path}" cannot be read: ${reason}`, cause);
}
