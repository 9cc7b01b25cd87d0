/** JSON whose numbers are printed as they are written: what a model learns of a call is its text. */

/** What newer engines give and take beside the standard's types. */
const { parse, rawJSON } = JSON as unknown as {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { source?: string }) => unknown,
  ): unknown;
  rawJSON(text: string): unknown;
};

/** A number that JavaScript would print otherwise, such as 1.0 or 12345678901234567890. */
export class WrittenNumber extends Number {
  /** @param source As JSON has it. */
  constructor(readonly source: string) {
    super(source);
  }

  override toString(): string {
    return this.source;
  }

  /** What `JSON.stringify` prints as it is. */
  toJSON(): unknown {
    return rawJSON(this.source);
  }
}

/**
 * What JSON says, with a `WrittenNumber` for each number that would be printed otherwise. Keys that are whole numbers
 * come first in their objects.
 *
 * @throws {SyntaxError} when it is none.
 */
export function parseWritten(text: string): unknown {
  return parse(
    text,
    (_, value, { source }) =>
      typeof value === "number" && source !== undefined && source !== String(value)
        ? new WrittenNumber(source)
        : value,
  );
}

/** JSON in one line. Breaks can only stand between its parts. */
export function inOneLine(json: string): string {
  return json.trim().replaceAll(/\s*[\r\n]\s*/g, " ");
}
