/** Reads typed fields of a configuration, naming file, field, value and what was expected on every failure. */
import { SpielError } from "../errors.ts";
import { isObject } from "../io/random_access.ts";

/** The engine's own limit of a width; products of two sizes stay exact in a number. */
const MAX_SIZE = 2 ** 24;
/** Far more than any model has, and few enough that listing all their tensors takes no time. */
const MAX_LAYERS = 4096;

/** A JSON object or GGUF metadata seen as configuration. A null counts as absent. */
export class ConfigFields {
  readonly where: string;
  readonly #get: (key: string) => unknown;

  /**
   * @param where Names the source in errors.
   * @param get Returns the value of a key, or undefined.
   */
  constructor(where: string, get: (key: string) => unknown) {
    this.where = where;
    this.#get = get;
  }

  /** The fields of a JSON object. */
  static ofObject(where: string, object: Record<string, unknown>): ConfigFields {
    return new ConfigFields(where, (key) => Object.hasOwn(object, key) ? object[key] : undefined);
  }

  /** The same fields, with these values where one is absent. */
  withDefaults(defaults: Record<string, unknown>): ConfigFields {
    return new ConfigFields(this.where, (key) => this.#get(key) ?? defaults[key]);
  }

  has(key: string): boolean {
    return this.value(key) !== undefined;
  }

  /** True when the key is there with an explicit null. */
  isNull(key: string): boolean {
    return this.#get(key) === null;
  }

  /** The raw value; null becomes undefined. */
  value(key: string): unknown {
    return this.#get(key) ?? undefined;
  }

  /** A positive whole number of at most `most`. Required unless `fallback` is given. */
  size(key: string, fallback?: number, most = MAX_SIZE): number {
    const value = this.value(key) ?? fallback;
    if (typeof value !== "number" || !Number.isInteger(value) || value < 1 || value > most) {
      throw this.mismatch(key, `a whole number from 1 to ${most}`);
    }
    return value;
  }

  /** The number of layers. */
  layers(key: string): number {
    return this.size(key, undefined, MAX_LAYERS);
  }

  /** A positive finite number. Required unless `fallback` is given. */
  positive(key: string, fallback?: number): number {
    const value = this.value(key) ?? fallback;
    if (typeof value !== "number" || !Number.isFinite(value) || value <= 0) {
      throw this.mismatch(key, "a positive number");
    }
    return value;
  }

  boolean(key: string, fallback: boolean): boolean {
    const value = this.value(key) ?? fallback;
    if (typeof value !== "boolean") throw this.mismatch(key, "true or false");
    return value;
  }

  /** A string. Required unless `fallback` is given. */
  string(key: string, fallback?: string): string {
    const value = this.value(key) ?? fallback;
    if (typeof value !== "string") throw this.mismatch(key, "a string");
    return value;
  }

  /** A nested object, or null when absent. */
  object(key: string): ConfigFields | null {
    const value = this.value(key);
    if (value === undefined) return null;
    if (!isObject(value)) throw this.mismatch(key, "an object");
    return ConfigFields.ofObject(`${this.where}: ${key}`, value);
  }

  /** Refuses a value other than `supported`, which is also what an absent key means. */
  only(key: string, supported: string | number | boolean): void {
    const value = this.value(key) ?? supported;
    if (value !== supported) throw this.unsupported(key, JSON.stringify(supported));
  }

  mismatch(key: string, expected: string): SpielError {
    return this.fail(`${key} is ${this.#shown(key)}; expected ${expected}`);
  }

  unsupported(key: string, supported: string): SpielError {
    return this.fail(`${key} ${this.#shown(key)} is not supported; supported: ${supported}`);
  }

  fail(message: string): SpielError {
    return new SpielError("data", `${this.where}: ${message}`);
  }

  #shown(key: string): string {
    const value = this.value(key);
    const text = value === undefined ? "missing" : JSON.stringify(value) ?? String(value);
    return text.length > 120 ? `${text.slice(0, 120)}...` : text;
  }
}
