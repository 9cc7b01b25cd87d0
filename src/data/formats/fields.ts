/** Reads the fields of one data record, naming file, line and field on every failure. */
import { SpielError } from "../../errors.ts";

/** Names of the record's fields by those of the format, such as prompt → question. */
export type FieldMap = Readonly<Record<string, string>>;

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
    if (typeof value !== "string") throw this.mismatch(field, "a string");
    return value;
  }

  /** What a field of the format is called in the record. */
  nameOf(field: string): string {
    return Object.hasOwn(this.map, field) ? this.map[field]! : field;
  }

  /** Names of all fields of the record. */
  names(): string[] {
    return Object.keys(this.record);
  }

  mismatch(field: string, expected: string): SpielError {
    const name = this.nameOf(field);
    const value = this.value(field);
    const shown = value === undefined ? "missing" : JSON.stringify(value);
    const cut = shown.length > 80 ? `${shown.slice(0, 80)}...` : shown;
    return new SpielError("data", `${this.where}: field "${name}" is ${cut}; expected ${expected}`);
  }
}
