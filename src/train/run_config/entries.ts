/** Where values come from, and the laying of one source over another. */

import { SpielError } from "../../errors.ts";
import { configKeyHelp } from "./describe.ts";
import { LATER_KEYS } from "./later.ts";
import { flagName } from "./naming.ts";
import { readText } from "./read_text.ts";
import type { ConfigKey } from "./schema.ts";
import { suggest } from "./suggest.ts";

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

function unknownKey(entry: ConfigEntry): string {
  const label = labelOf(entry.key, entry.source);
  const later = LATER_KEYS[entry.key];
  if (later !== undefined) return `${label} is not supported yet: ${later}`;
  const meant = suggest(entry.key, configKeyHelp().keys());
  return `${label} is not a key of a run` + (meant === undefined ? "" : `; did you mean ${meant}?`);
}

function read(entry: ConfigEntry, key: ConfigKey): unknown {
  const help = configKeyHelp().get(key);
  const textual = entry.source.kind === "flag" || entry.source.kind === "set";
  return help !== undefined && textual && typeof entry.value === "string"
    ? readText(entry.value, help)
    : entry.value;
}

/** Lays the entries over one another, the later ones on top, and reports unknown keys. */
export function layEntries(entries: Iterable<ConfigEntry>): GivenValues {
  const given: GivenValues = { values: new Map(), problems: [] };
  for (const entry of entries) {
    if (!configKeyHelp().has(entry.key as ConfigKey)) {
      given.problems.push(unknownKey(entry));
      continue;
    }
    const key = entry.key as ConfigKey;
    given.values.set(key, { value: read(entry, key), source: entry.source });
  }
  return given;
}

/** One error for all problems: one sentence, or a list. */
export function problemsError(problems: readonly string[]): SpielError {
  const [first = "", ...others] = problems;
  if (others.length === 0) return new SpielError("usage", first);
  const list = problems.map((problem) => `  - ${problem}`).join("\n");
  return new SpielError(
    "usage",
    `${problems.length} things are wrong with the configuration:\n${list}`,
  );
}
