/** Where values come from, and the laying of one source over another. */

import { LIST_ITEM, SpielError } from "../../errors.ts";
import { configKeyHelp } from "./describe.ts";
import { flagName } from "./naming.ts";
import { meantKey } from "./other_names.ts";
import { presentValue } from "./older_values.ts";
import { readText } from "./read_text.ts";
import { EXCLUSIVE_KEYS } from "./rules.ts";
import type { ConfigKey } from "./schema.ts";

/** Where a value was given. */
export type ConfigSource =
  | { kind: "file"; path: string; line: number; column: number }
  | { kind: "flag" }
  | { kind: "set" }
  | { kind: "option" };

/** One key with the value given for it. Flags and `--set` give text, files and options give values. */
export interface ConfigEntry {
  /** The key as on disk, such as `max_steps`. */
  key: string;
  /** Its value; for repeatable flags a list of texts. */
  value: unknown;
  /** Where it was given. */
  source: ConfigSource;
}

/** The values that were given, read but not yet checked, with their sources. */
export interface GivenValues {
  values: Map<ConfigKey, { value: unknown; source: ConfigSource }>;
  problems: string[];
}

/** How an error points at a key: as its flag, or as the key with its place. */
export function labelOf(key: string, source: ConfigSource | undefined): string {
  switch (source?.kind) {
    case "flag":
      return flagName(key);
    case "set":
      return `--set ${key}`;
    case "file":
      return `${source.path}:${source.line}:${source.column}: ${key}`;
    default:
      return key;
  }
}

/** The origin of a value as shown to people: `default`, `run.yaml:3`, `flag`, `set` or `option`. */
export function originOf(source: ConfigSource | undefined): string {
  if (source === undefined) return "default";
  return source.kind === "file" ? `${source.path}:${source.line}` : source.kind;
}

/** Where a value stands that a flag is at odds with, in brackets; empty for another flag and in code. */
export function placeOf(source: ConfigSource): string {
  switch (source.kind) {
    case "file":
      return ` (${originOf(source)})`;
    case "set":
      return " (--set)";
    default:
      return "";
  }
}

/** Which source wins: code and files lose to `--set`, and that to a flag. */
const PRECEDENCE: Readonly<Record<ConfigSource["kind"], number>> = {
  option: 0,
  file: 0,
  set: 1,
  flag: 2,
};

/** The sentence that refuses a key, with what was probably meant. */
export function unknownKey(entry: ConfigEntry, known: Iterable<string>): string {
  const label = labelOf(entry.key, entry.source);
  const meant = meantKey(entry.key, known);
  if (meant === undefined) return `${label} is not known`;
  return `${label} is not known; did you mean ${
    entry.source.kind === "flag" ? flagName(meant) : meant
  }?`;
}

function read(entry: ConfigEntry, key: ConfigKey): unknown {
  const help = configKeyHelp().get(key);
  if (help === undefined || typeof entry.value !== "string") return entry.value;
  const isTextual = entry.source.kind === "flag" || entry.source.kind === "set";
  // A list or map may be written in one line everywhere; a number in quotes is a mistake.
  const isWhole = help.kind === "list" || help.kind === "map";
  return isTextual || isWhole ? readText(entry.value, help) : entry.value;
}

/** Takes out what a weaker source says in another way, so that `--max-steps` replaces a file's `epochs`. */
function dropWeakerSynonyms(values: GivenValues["values"], key: ConfigKey, source: ConfigSource) {
  const group = EXCLUSIVE_KEYS.find((keys) => keys.includes(key)) ?? [];
  for (const other of group) {
    const found = values.get(other);
    if (found && PRECEDENCE[found.source.kind] < PRECEDENCE[source.kind]) values.delete(other);
  }
}

/** How many deltas there are to be, which means nothing to a method without any. */
const BUDGET_KEYS: readonly ConfigKey[] = ["density", "num_deltas", "rank_equivalent"];

/** Takes out what a weaker source says of deltas where a stronger one asks for a method without, as over a run's record. */
function dropIdleBudget({ values }: GivenValues) {
  const method = values.get("method");
  if (method?.value !== "full") return;
  for (const key of BUDGET_KEYS) {
    const found = values.get(key);
    if (found && PRECEDENCE[found.source.kind] < PRECEDENCE[method.source.kind]) values.delete(key);
  }
}

/**
 * Lays entries over one another, stronger sources and later entries on top. A value of null is as good as
 * none.
 */
export function layEntries(
  entries: Iterable<ConfigEntry>,
  keys: readonly ConfigKey[],
): GivenValues {
  const known = new Set<string>(keys);
  const given: GivenValues = { values: new Map(), problems: [] };
  const weakestFirst = [...entries].sort((a, b) =>
    PRECEDENCE[a.source.kind] - PRECEDENCE[b.source.kind]
  );
  for (const entry of weakestFirst) {
    if (!known.has(entry.key)) {
      given.problems.push(unknownKey(entry, keys));
    } else if (entry.value !== null) {
      const key = entry.key as ConfigKey;
      dropWeakerSynonyms(given.values, key, entry.source);
      const value = presentValue(key, read(entry, key));
      given.values.set(key, { value, source: entry.source });
    }
  }
  dropIdleBudget(given);
  return given;
}

/** One error for all problems: one sentence, or a list. */
export function problemsError(problems: readonly string[]): SpielError {
  const [first = "", ...others] = problems;
  if (others.length === 0) return new SpielError("usage", first);
  const list = problems.map((problem) => LIST_ITEM + problem).join("");
  return new SpielError("usage", `${problems.length} things are wrong:${list}`);
}

/** The problems that `problemsError` put together. */
export function problemsIn({ message }: SpielError): string[] {
  const [whole, ...list] = message.split(LIST_ITEM);
  return list.length > 0 ? list : [whole ?? ""];
}
