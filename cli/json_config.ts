/** Reads the text of a JSON configuration file into entries that know their line and column. */

import {
  CONFIG_KEYS,
  type ConfigEntry,
  configRecord,
  isSpielError,
  resolveRunConfig,
  SpielError,
} from "../mod.ts";
import { JsonMistake, parsePlaced, type PlacedKey } from "./placed_json.ts";

/**
 * Parses a JSON configuration file's text: an object of keys and values, or what a run has written as its `config.json`.
 *
 * @param path For messages only.
 * @returns One entry per key, in the order of the file.
 * @throws {SpielError} `usage`, with line and column.
 */
export function parseJsonConfig(text: string, path: string): ConfigEntry[] {
  const place = (offset: number) => {
    const before = text.slice(0, offset).split("\n");
    return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
  };
  let keys: PlacedKey[];
  try {
    keys = parsePlaced(text).filter(({ key }) => key !== EDITORS_KEY);
  } catch (error) {
    if (!(error instanceof JsonMistake)) throw error;
    const { line, column } = place(error.offset);
    throw new SpielError("usage", `${path}:${line}:${column}: ${error.message}`);
  }
  if (keys.some(({ key }) => key === MODELS_KEY)) {
    throw new SpielError(
      "usage",
      `${path} configures a model, not a run; name its folder by --model`,
    );
  }
  const entryOf = ({ key, value, offset }: PlacedKey, taken: unknown = value): ConfigEntry => ({
    ...{ key, value: taken },
    source: { kind: "file", path, ...place(offset) },
  });
  if (!isRunRecord(keys)) return keys.map((placed) => entryOf(placed));
  // What was asked of that one call is not the run's.
  const lasting = keys.filter(({ key }) => !CALLS_KEYS.includes(key));
  const entries = new Map(lasting.map((placed) => [entryOf(placed, placed.value.value), placed]));
  return withoutDefaults(entries);
}

/** By which editors find the schema of docs/run_config.schema.json. */
const EDITORS_KEY = "$schema";

/** What the `config.json` of every Hugging Face model has, and no run's. */
const MODELS_KEY = "model_type";

/** Keys that say what a call is to do with a run. */
const CALLS_KEYS: readonly string[] = ["resume", "dry_run"];

/** A value as a run records it. */
interface Recorded {
  value: unknown;
  origin: string;
}

function isRecorded(value: unknown): value is Recorded {
  return typeof value === "object" && value !== null && "value" in value && "origin" in value;
}

function isRunRecord(keys: PlacedKey[]): keys is (PlacedKey & { value: Recorded })[] {
  return keys.length > 0 && keys.every(({ value }) => isRecorded(value));
}

/**
 * Leaves out what would be so anyway, so that it may follow from what else is given now, as the learning rate does from
 * the method. A default that was edited, or that was another in the version that wrote it, stays.
 */
function withoutDefaults(
  entries: ReadonlyMap<ConfigEntry, PlacedKey & { value: Recorded }>,
): ConfigEntry[] {
  const given = [...entries].filter(([, { value }]) => value.origin !== "default");
  const defaults = defaultsBeside(given.map(([entry]) => entry));
  return [...entries].filter(([{ key, value }, { value: { origin } }]) =>
    origin !== "default" || JSON.stringify(defaults[key] ?? null) !== JSON.stringify(value)
  ).map(([entry]) => entry);
}

/** The values of all keys where only some are given. */
function defaultsBeside(given: readonly ConfigEntry[]): Readonly<Record<string, unknown>> {
  try {
    const record = configRecord(resolveRunConfig(given));
    return Object.fromEntries(CONFIG_KEYS.map((key) => [key, record[key].value]));
  } catch (error) {
    // The whole configuration is refused for the same reason, with every place.
    if (!isSpielError(error)) throw error;
    return {};
  }
}
