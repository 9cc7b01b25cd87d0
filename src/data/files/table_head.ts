/** Sees by its first lines whether a file is a table. */
import { isObject } from "../../io/random_access.ts";
import type { FileHead } from "./record_file.ts";

/** A name in the head of a table, quoted or not. */
const COLUMN = String.raw`(?:"[^"]*"|[\w .-]+)`;

/** Lines in which another separator or a quoted field must be found: a comma is in every text. */
const LINES_LOOKED_AT = 20;

/** Whether the first lines are a table's, or the name says so and they are nothing else. */
export function looksLikeTable(head: FileHead, extension: string, separators: string): boolean {
  const [first = "", ...others] = firstLines(head);
  if (head.path.toLowerCase().endsWith(extension)) {
    return first !== "" && !isJsonObject(first) && !first.includes("\0");
  }
  const pattern = new RegExp(`^${COLUMN}(?:([${separators}])${COLUMN})(?:\\1${COLUMN})*$`);
  const separator = pattern.exec(first.trim())?.[1];
  if (separator === undefined || others.length === 0 || isJsonObject(others[0]!)) return false;
  return separator === "\t" ||
    others.slice(0, LINES_LOOKED_AT).some((line) => line.includes(separator) || line[0] === '"');
}

/** The lines that are not blank, as far as they were read. */
export function firstLines({ bytes }: FileHead): string[] {
  return new TextDecoder().decode(bytes).split(/\r?\n/).filter((line) => line.trim() !== "");
}

/** Whether a line is an object in JSON. */
export function isJsonObject(line: string): boolean {
  try {
    return isObject(JSON.parse(line));
  } catch {
    return false;
  }
}
