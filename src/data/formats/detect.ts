/** Finds the format that a record fits, and says which fields one lacks that fits none. */
import { SpielError } from "../../errors.ts";
import { suggest } from "../../suggest.ts";
import { listed, mapInWords, type RecordFields } from "./fields.ts";
import { type DataFormat, fieldsOf } from "./format.ts";

/** A format and the reason for it. */
export interface Fit {
  format: DataFormat;
  /** Such as `line 1 has the fields "prompt", "completion"; not read: the field "id"`. */
  why: string;
}

/** What other collections call the fields of the formats. */
const OTHER_NAMES: Readonly<Record<string, readonly string[]>> = {
  messages: ["conversation", "chat", "dialog", "dialogue"],
  conversations: ["conversation", "chat", "dialog", "dialogue"],
  prompt: ["question", "instruction", "input", "query", "problem"],
  completion: ["answer", "output", "response", "solution", "target"],
  instruction: ["question", "task"],
  output: ["answer", "response"],
  text: ["content", "document"],
};

/** What stands in a suggested map for a name that cannot be guessed. */
const UNKNOWN = "NAME";

/** The format whose fields the record has, those that the map names first; undefined where none fits. */
export function fittingFormat(
  formats: readonly DataFormat[],
  record: RecordFields,
): Fit | undefined {
  const fitting = formats.filter(({ fields }) => fields.every((field) => record.has(field)));
  const mapped = fitting.find(({ fields }) => fields.some((field) => record.isMapped(field)));
  const format = mapped ?? fitting[0];
  if (format === undefined) return undefined;
  const place = record.where.slice(record.where.lastIndexOf(":") + 1);
  const spot = /^\d+$/.test(place) ? `line ${place}` : place;
  const names = format.fields.map((field) => record.nameOf(field));
  const others = fitting.filter((other) => other !== format).map(({ name }) => name);
  const also = others.length === 0 ? "" : `; it would fit ${others.join(" and ")} as well`;
  const named = formats.length === 1 ? "named by --format; " : "";
  const known = new Set(fitting.flatMap(fieldsOf).map((field) => record.nameOf(field)));
  const unread = record.names().filter((name) => !known.has(name));
  const rest = unread.length === 0 ? "" : `; not read: ${listed(unread)}`;
  return { format, why: `${named}${spot} has ${listed(names)}${also}${rest}` };
}

/** The error for a record that fits none of the formats. */
export function fitsNone(formats: readonly DataFormat[], record: RecordFields): SpielError {
  const nearest = nearestFormat(formats, record);
  if (nearest === undefined) return fieldsUnknown(formats, record);
  const lacking = nearest.fields.filter((field) => !record.has(field)).map((field) =>
    record.isMapped(field)
      ? `the field "${record.nameOf(field)}", which --map names for ${field},`
      : `the field "${field}"`
  );
  const are = lacking.length === 1 ? "is" : "are";
  return new SpielError(
    "data",
    `${record.where}: ${lacking.join(" and ")} ${are} missing, to be read as ${nearest.name}; ` +
      `the record has ${listed(record.names())}. Name them with ${mapFor(nearest, record)}`,
  );
}

/** The format that was meant: one that the map names, else one of which a field is there. */
function nearestFormat(
  formats: readonly DataFormat[],
  record: RecordFields,
): DataFormat | undefined {
  if (formats.length === 1) return formats[0];
  const some = (matches: (field: string) => boolean) =>
    formats.find(({ fields }) => fields.some(matches));
  return some((field) => record.isMapped(field)) ?? some((field) => record.has(field));
}

function fieldsUnknown(formats: readonly DataFormat[], record: RecordFields): SpielError {
  const known = formats.map(({ fields }) => fields.join(" and ")).join(", or ");
  const guess = formats.map((format) => mapFor(format, record)).find((map) =>
    !map.includes(UNKNOWN)
  );
  const example = guess === undefined
    ? "such as --map prompt=question,completion=answer"
    : `perhaps ${guess}`;
  return new SpielError(
    "data",
    `${record.where} has ${listed(record.names())}; expected ${known}. ` +
      `Name them with --map, ${example}`,
  );
}

/** What makes the record fit, as far as it can be guessed. */
function mapFor({ fields }: DataFormat, record: RecordFields): string {
  const taken = new Set(fields.filter((field) => record.has(field)).map((f) => record.nameOf(f)));
  const missing = fields.filter((field) => !record.has(field));
  const names = new Map(fields.map((field) => [field, record.nameOf(field)]));
  for (const field of missing) {
    const free = record.names().filter((name) => name !== "" && !taken.has(name));
    const name = (record.isMapped(field) ? suggest(record.nameOf(field), free) : undefined) ??
      only(free.filter((name) => OTHER_NAMES[field]?.includes(name))) ??
      (taken.size > 0 && missing.length === 1 ? only(free) : undefined) ?? UNKNOWN;
    names.set(field, name);
    taken.add(name);
  }
  return mapInWords([...names].filter(([field, name]) => field !== name));
}

/** The element of a list of one: among several, to choose would be to drop the others. */
function only(names: readonly string[]): string | undefined {
  return names.length === 1 ? names[0] : undefined;
}
