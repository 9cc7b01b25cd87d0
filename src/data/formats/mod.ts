/** The registry of data formats: a new one is a new file and one line here. */
import { SpielError } from "../../errors.ts";
import { suggest } from "../../suggest.ts";
import type { FieldMap } from "./fields.ts";
import type { DataFormat } from "./format.ts";
import { messages } from "./messages.ts";
import { promptCompletion } from "./prompt_completion.ts";
import { text } from "./text.ts";

export { fitsNone, fittingFormat } from "./detect.ts";
export { type FieldMap, RecordFields } from "./fields.ts";
export type { DataFormat, Sample } from "./format.ts";

/** All formats, in the order in which detection tries them. */
export const FORMATS: readonly DataFormat[] = [messages, promptCompletion, text];

/** How the data is to be read; "auto" looks at the first records. */
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
    `There is no data format "${choice}"; expected auto, ${FORMATS.map((f) => f.name).join(", ")}`,
  );
}

/**
 * Refuses a map that names fields no format has.
 *
 * @throws {SpielError} kind "usage".
 */
export function checkFieldMap(map: FieldMap): void {
  const known = FORMATS.flatMap(({ fields }) => fields);
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
