/** The registry of data formats: a new one is a new file and one line here. */
import { SpielError } from "../../errors.ts";
import { type FieldMap, RecordFields } from "./fields.ts";
import type { DataFormat } from "./format.ts";
import { messages } from "./messages.ts";
import { promptCompletion } from "./prompt_completion.ts";
import { text } from "./text.ts";

export type { FieldMap } from "./fields.ts";
export { RecordFields } from "./fields.ts";
export type { DataFormat, Sample } from "./format.ts";

/** All formats, in the order in which detection tries them. */
export const FORMATS: readonly DataFormat[] = [messages, promptCompletion, text];

/** How the data is to be read; "auto" looks at the first record. */
export type FormatChoice = "auto" | string;

/**
 * The format to read a file with.
 *
 * @param first The file's first record.
 * @throws {SpielError} kind "usage" for an unknown name, "data" when no format fits the record.
 */
export function chooseFormat(choice: FormatChoice, first: RecordFields): DataFormat {
  if (choice !== "auto") return formatNamed(choice);
  const format = FORMATS.find(({ fields }) => fields.every((field) => first.has(field)));
  if (format !== undefined) return format;
  const known = FORMATS.map(({ fields }) => fields.join(" and ")).join(", or ");
  throw new SpielError(
    "data",
    `${first.where} has the fields ${first.names().map((name) => `"${name}"`).join(", ")}; ` +
      `expected ${known}. Name them with --map, such as --map prompt=question,completion=answer`,
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
    throw new SpielError(
      "usage",
      `Cannot map the field "${unknown}"; the formats have ${known.join(", ")}`,
    );
  }
}

function formatNamed(name: string): DataFormat {
  const format = FORMATS.find((format) => format.name === name);
  if (format !== undefined) return format;
  throw new SpielError(
    "usage",
    `There is no data format "${name}"; expected auto, ${FORMATS.map((f) => f.name).join(", ")}`,
  );
}
