/** A record in JSON. */
import { isObject } from "../../io/random_access.ts";
import { RecordError } from "../../io/record_error.ts";
import { parseWritten } from "../written_json.ts";
import { MAX_LEVELS, nestsDeeper, repeatedKey } from "../../io/strict_json.ts";

/**
 * The object that a text is.
 *
 * @throws {RecordError} when it is none, names a field twice, or nests too deeply.
 */
export function parseRecord(text: string, where: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new RecordError(where, `not valid JSON: ${complaintOf(cause)}`, { cause });
  }
  if (!isObject(value)) throw new RecordError(where, "not a JSON object");
  if (nestsDeeper(text, MAX_LEVELS)) {
    throw new RecordError(where, `it nests deeper than ${MAX_LEVELS} levels`);
  }
  const twice = repeatedKey(text);
  if (twice !== null) throw new RecordError(where, `the field ${twice} is given twice`);
  // With `tools` or `tool_calls`, numbers are words to learn.
  return /"tool(?:s|_calls)"/.test(text) ? parseWritten(text) as typeof value : value;
}

/** What `JSON.parse` complains of; its line would be taken for the file's. */
function complaintOf(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  return message.replace(/ is not valid JSON$/, "")
    .replace(/(?: in JSON)? at position \d+ \(line 1 column (\d+)\)$/, " at column $1")
    .replace(/(?: in JSON)? at position \d+ \(line (\d+) column (\d+)\)$/, " at its line $1");
}
