/** Reads the fields of one data record, naming file, line and field on every failure. */
import { isObject } from "../../io/random_access.ts";
import { RecordError } from "../../io/record_error.ts";
import { WrittenNumber } from "../written_json.ts";
import { NotText } from "../files/not_text.ts";

/** Names of the record's fields by those of the format, such as prompt → question. */
export type FieldMap = Readonly<Record<string, string>>;

/** Characters of a value that are shown. */
const SHOWN = 60;

/** One record, under the field names of a format. */
export class RecordFields {
  /**
   * @param where File and line.
   */
  constructor(
    readonly where: string,
    private readonly record: Record<string, unknown>,
    private readonly map: FieldMap,
  ) {}

  /** The value of a field, or undefined. */
  value(field: string): unknown {
    const name = this.nameOf(field);
    return Object.hasOwn(this.record, name) ? this.record[name] : undefined;
  }

  has(field: string): boolean {
    return this.value(field) !== undefined;
  }

  /** A field that must be a string. */
  string(field: string): string {
    const value = this.value(field);
    if (typeof value !== "string") throw this.mismatch(field, "text");
    return value;
  }

  /** A field that may be absent or null, and must be a string else. */
  optionalString(field: string): string | undefined {
    return this.value(field) === null || !this.has(field) ? undefined : this.string(field);
  }

  /** A field that must have something in it to learn. */
  lesson(field: string): string {
    const text = this.string(field);
    if (text.trim() === "") throw this.mismatch(field, "text to learn from");
    return text;
  }

  /** What a field of the format is called in the record. */
  nameOf(field: string): string {
    return this.isMapped(field) ? this.map[field]! : field;
  }

  /** Whether the map names the field. */
  isMapped(field: string): boolean {
    return Object.hasOwn(this.map, field);
  }

  /** Names of all fields of the record. */
  names(): string[] {
    return Object.keys(this.record);
  }

  /** Says that a field is not what it must be. */
  mismatch(field: string, expected: string): RecordError {
    const name = this.nameOf(field);
    const value = this.value(field);
    return this.error(
      value === undefined
        ? `field "${name}" is missing; expected ${expected}; the record has ${listed(this.names())}`
        : `field "${name}" is ${shown(value)}; expected ${expected}`,
    );
  }

  /** Says what is wrong with the record. */
  error(reason: string): RecordError {
    return new RecordError(this.where, reason);
  }
}

/** A value in a few words, whatever its size and depth. */
export function shown(value: unknown): string {
  if (typeof value === "string") {
    return value.length > SHOWN
      ? `${JSON.stringify(value.slice(0, SHOWN))}...`
      : JSON.stringify(value);
  }
  if (value instanceof WrittenNumber) return value.source;
  if (value instanceof NotText) return "bytes that are not valid UTF-8";
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  return isObject(value) ? `an object with ${listed(Object.keys(value))}` : String(value);
}

/** Names in quotes, the first ones where there are many. */
export function listed(names: readonly string[]): string {
  if (names.length === 0) return "no fields";
  const first = names.slice(0, 12).map((name) => shown(name)).join(", ");
  const more = names.length > 12 ? ` and ${names.length - 12} more` : "";
  return `the field${names.length === 1 ? "" : "s"} ${first}${more}`;
}

/**
 * A map as a person can give it: as a flag, in quotes where a shell would take it apart, or in a file of the
 * configuration where a name has what divides the flag's pairs.
 */
export function mapInWords(pairs: readonly (readonly [field: string, name: string])[]): string {
  if (pairs.some(([, name]) => name.includes(",") || name !== name.trim())) {
    return `map: ${JSON.stringify(Object.fromEntries(pairs))} in the file of --config`;
  }
  const text = pairs.map((pair) => pair.join("=")).join();
  const isPlain = /^[\w=,.-]*$/.test(text);
  return `--map ${isPlain ? text : `'${text.replaceAll("'", "'\\''")}'`}`;
}
