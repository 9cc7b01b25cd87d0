/** Reads GGUF models, in one file or split into parts: metadata and tensors as of one file. */
import { SpielError } from "../errors.ts";
import type { GgufValue } from "./gguf_cursor.ts";
import { GgufPart, type GgufTensor } from "./gguf_part.ts";
import { checkParts, partPaths } from "./gguf_split.ts";

export type { GgufValue } from "./gguf_cursor.ts";
export type { GgufTensor } from "./gguf_part.ts";

/** An open GGUF model. */
export class GgufFile implements Disposable {
  /** The file, or the first part, which has the metadata. */
  readonly path: string;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** Those of all parts; `byteOffset` is a position in the part that the tensor lies in. */
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  readonly #parts: readonly GgufPart[];
  readonly #partOf: ReadonlyMap<string, GgufPart>;

  private constructor(parts: readonly [GgufPart, ...GgufPart[]]) {
    this.#parts = parts;
    this.path = parts[0].path;
    this.metadata = parts[0].metadata;
    this.#partOf = checkParts(parts);
    const tensors = [...this.#partOf].map(([name, part]) =>
      [name, part.tensors.get(name)!] as const
    );
    this.tensors = new Map(tensors);
  }

  /**
   * Opens a file, or of a split model all parts, and checks everything but the payload.
   *
   * @param path A file, any part of a split model, or a folder with the parts of one.
   * @throws {SpielError} kind "data" naming the file, the field, its value and what was expected.
   */
  static open(path: string): GgufFile {
    const parts: GgufPart[] = [];
    try {
      const [first, ...others] = partPaths(path);
      const opened = GgufPart.open(first);
      parts.push(opened);
      for (const other of others) parts.push(GgufPart.open(other));
      return new GgufFile([opened, ...parts.slice(1)]);
    } catch (error) {
      for (const part of parts) part[Symbol.dispose]();
      throw error;
    }
  }

  /** Reads `length` bytes of a tensor from `byteOffset` inside it, into a buffer where one is given. */
  readRange(
    name: string,
    byteOffset: number,
    length: number,
    into?: Uint8Array<ArrayBuffer>,
  ): Uint8Array<ArrayBuffer> {
    const tensor = this.tensors.get(name);
    const part = this.#partOf.get(name);
    if (tensor === undefined || part === undefined) {
      throw this.fail(`there is no tensor "${name}"`);
    }
    if (byteOffset < 0 || length < 0 || byteOffset + length > tensor.byteLength) {
      throw this.fail(
        `cannot read ${length} bytes at ${byteOffset} of "${name}", ` +
          `which has ${tensor.byteLength} bytes`,
      );
    }
    return part.read(tensor.byteOffset + byteOffset, length, into);
  }

  /** The bytes of a metadata value, its type before it; undefined when the key is absent. */
  storedValue(key: string): Uint8Array<ArrayBuffer> | undefined {
    return this.#parts[0]?.storedValue(key);
  }

  /** A metadata string; undefined when the key is absent. */
  string(key: string): string | undefined {
    const value = this.metadata.get(key);
    if (value === undefined || typeof value === "string") return value;
    throw this.#mismatch(key, "a string");
  }

  /** A metadata number; undefined when the key is absent. */
  number(key: string): number | undefined {
    const value = this.metadata.get(key);
    if (value === undefined || typeof value === "number") return value;
    throw this.#mismatch(key, "a number");
  }

  /** A metadata boolean; undefined when the key is absent. */
  boolean(key: string): boolean | undefined {
    const value = this.metadata.get(key);
    if (value === undefined || typeof value === "boolean") return value;
    throw this.#mismatch(key, "a boolean");
  }

  /** A metadata array of strings; undefined when the key is absent. */
  strings(key: string): string[] | undefined {
    const value = this.metadata.get(key);
    if (value === undefined) return undefined;
    if (Array.isArray(value) && value.every((item) => typeof item === "string")) {
      return value as string[];
    }
    throw this.#mismatch(key, "an array of strings");
  }

  /** A metadata array of numbers; undefined when the key is absent. */
  numbers(key: string): number[] | undefined {
    const value = this.metadata.get(key);
    if (value === undefined) return undefined;
    if (Array.isArray(value) && value.every((item) => typeof item === "number")) {
      return value as number[];
    }
    throw this.#mismatch(key, "an array of numbers");
  }

  /** An error that names the file. */
  fail(message: string): SpielError {
    return new SpielError("data", `${this.path}: ${message}`);
  }

  [Symbol.dispose](): void {
    for (const part of this.#parts) part[Symbol.dispose]();
  }

  #mismatch(key: string, expected: string): SpielError {
    return this.fail(`metadata "${key}" is not ${expected}`);
  }
}
