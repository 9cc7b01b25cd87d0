/** The registry of data formats: a new one is a new file and one line here. */
import { SpielError } from "../../errors.ts";
import { suggest } from "../../suggest.ts";
import { alpaca } from "./alpaca.ts";
import type { FieldMap } from "./fields.ts";
import { type DataFormat, fieldsOf } from "./format.ts";
import { messages } from "./messages.ts";
import { promptCompletion } from "./prompt_completion.ts";
import { sharegpt } from "./sharegpt.ts";
import { text } from "./text.ts";

export { type Fit, fitsNone, fittingFormat } from "./detect.ts";
export { type FieldMap, mapInWords, RecordFields } from "./fields.ts";
export { type DataFormat, fieldsOf, messagesOf, type Sample } from "./format.ts";

/** All formats, in the order in which detection tries them. */
export const FORMATS: readonly DataFormat[] = [
  messages,
  sharegpt,
  promptCompletion,
  alpaca,
  text,
];

/** Names of all formats, and "auto", which looks at the first records. */
export const FORMAT_NAMES: readonly string[] = ["auto", ...FORMATS.map(({ name }) => name)];

/** How the data is to be read: one of `FORMAT_NAMES`. */
export type FormatChoice = "auto" | string;

/**
 * The formats that a choice leaves open.
 *
 * @throws {SpielError} kind "usage" for an unknown name.
 */
export function formatsFor(choice: FormatChoice): readonly DataFormat[] {
  if (choice === "auto") return FORMATS;
  const format = FORMATS.find((format) => format.name === choice);
  if (format !== undefined) return [format];
  throw new SpielError(
    "usage",
    `There is no data format "${choice}"; expected ${FORMAT_NAMES.join(", ")}`,
  );
}

/**
 * Refuses a map that names fields no format has.
 *
 * @throws {SpielError} kind "usage".
 */
export function checkFieldMap(map: FieldMap): void {
  const known = [...new Set(FORMATS.flatMap(fieldsOf))];
  const unknown = Object.keys(map).find((field) => !known.includes(field));
  if (unknown !== undefined) {
    const meant = suggest(unknown, known);
    throw new SpielError(
      "usage",
      `Cannot map the field "${unknown}"; ` +
        (meant === undefined ? `the formats have ${known.join(", ")}` : `did you mean ${meant}?`),
    );
  }
}
