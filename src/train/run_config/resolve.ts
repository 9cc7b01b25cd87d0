/** From entries to a frozen, checked `RunConfig` with the origin of each value. */

import { shownName } from "../../io/web_address.ts";
import { configKeyHelp } from "./describe.ts";
import {
  type ConfigEntry,
  type GivenValues,
  labelOf,
  layEntries,
  originOf,
  placeOf,
  problemsError,
} from "./entries.ts";
import { LATER_VALUES } from "./later.ts";
import { camelCase, flagName } from "./naming.ts";
import { presentValue } from "./older_values.ts";
import { RULES, type Values } from "./rules.ts";
import { CONFIG_KEYS, type ConfigKey, runConfigSchema } from "./schema.ts";
import type { ConfigPart, ConfigValues, DerivedKey, RunConfig, RunOptions } from "./types.ts";

/** A configuration and where each of its values comes from. */
export interface ResolvedConfig {
  /** The checked values. */
  readonly config: RunConfig;
  /** Per key as on disk: `default`, `FILE:LINE`, `flag`, `set` or `option`. */
  readonly origins: Readonly<Record<ConfigKey, string>>;
}

/** The peak learning rate where none is given. SM3's steps shrink as its accumulators grow, so it starts higher. */
const DEFAULT_LR: Readonly<Record<ConfigValues["method"], number>> = {
  "spiel-ag": 1e-3,
  "spiel-ma": 5e-3,
  "full": 2e-5,
};
const DEFAULT_DENSITY = 0.01;
const DEFAULT_WARMUP_RATIO = 0.03;
const DEFAULT_EPOCHS = 1;
const DEFAULT_MICRO_BATCH_TOKENS = 2048;

function shown(value: unknown): string {
  return typeof value === "number" || typeof value === "boolean"
    ? `${value}`
    : JSON.stringify(value);
}

/** How a value that is missing is called: as whoever configures would give it. */
type NameMissing = (key: ConfigKey) => string;

const flagOrFile: NameMissing = (key) => `${flagName(key)} (in a file ${key}:)`;

function valueProblem(key: ConfigKey, given: GivenValues, nameMissing: NameMissing): string {
  const found = given.values.get(key);
  const expected = configKeyHelp().get(key)?.expected;
  if (found === undefined) return `${nameMissing(key)} is missing; expected ${expected}`;
  const label = labelOf(key, found.source);
  const later = typeof found.value === "string" ? LATER_VALUES[key]?.[found.value] : undefined;
  const reason = later === undefined ? "" : ` (${later})`;
  return `${label} is ${shown(found.value)}${reason}; expected ${expected}`;
}

/** Values of the keys that are valid by themselves, and a problem for each of the others. */
function checkValues(
  given: GivenValues,
  keys: readonly ConfigKey[],
  nameMissing: NameMissing,
): { values: Values; problems: string[] } {
  const values: Record<string, unknown> = {};
  const problems: string[] = [];
  for (const key of keys) {
    const result = runConfigSchema.shape[key].safeParse(given.values.get(key)?.value);
    if (result.success) values[key] = result.data;
    else problems.push(valueProblem(key, given, nameMissing));
  }
  return { values: values as Values, problems };
}

function checkRules(values: Values, given: GivenValues): string[] {
  const keys = new Map([...given.values].map(([key, { source }]) => [key, placeOf(source)]));
  return RULES.flatMap((rule) => rule(values, keys)).map(({ key, message }) =>
    `${labelOf(key, given.values.get(key)?.source)} ${message}`
  );
}

/** Fills in the defaults that depend on other keys. */
function complete(values: ConfigValues): ConfigValues & Required<Pick<ConfigValues, DerivedKey>> {
  const noBudget = values.density === undefined && values.num_deltas === undefined &&
    values.rank_equivalent === undefined;
  const density = noBudget && values.method !== "full" ? DEFAULT_DENSITY : values.density;
  const warmupRatio = values.warmup_steps === undefined
    ? values.warmup_ratio ?? DEFAULT_WARMUP_RATIO
    : undefined;
  const epochs = values.max_steps === undefined ? values.epochs ?? DEFAULT_EPOCHS : undefined;
  return {
    ...values,
    density,
    epochs,
    warmup_ratio: warmupRatio,
    lr: values.lr ?? DEFAULT_LR[values.method],
    // Whoever asks for an early stop wants the best state, not the one that had stopped improving.
    result: values.result ?? (values.early_stop_patience > 0 ? "best" : "last"),
    micro_batch_tokens: values.micro_batch_tokens ??
      Math.max(DEFAULT_MICRO_BATCH_TOKENS, values.max_length),
  };
}

function freeze<Value>(value: Value): Value {
  return typeof value === "object" ? Object.freeze(value) : value;
}

/**
 * Checks entries, later ones over earlier ones, and completes them with defaults.
 *
 * @param entries Keys as on disk, from config files, flags, `--set` or code.
 * @returns The frozen configuration and the origin of each value.
 * @throws {SpielError} of kind `usage`, naming every unknown key, wrong value and broken rule at once.
 */
export function resolveRunConfig(entries: Iterable<ConfigEntry>): ResolvedConfig {
  return resolve(entries, flagOrFile);
}

function resolve(entries: Iterable<ConfigEntry>, nameMissing: NameMissing): ResolvedConfig {
  const given = layEntries(entries, CONFIG_KEYS);
  const { values, problems } = checkValues(given, CONFIG_KEYS, nameMissing);
  const all = [...given.problems, ...problems, ...checkRules(values, given)];
  if (all.length > 0) throw problemsError(all);

  const completed = complete(values as ConfigValues);
  const config = Object.fromEntries(
    CONFIG_KEYS.map((key) => [camelCase(key), freeze(completed[key])]),
  );
  const origins = Object.fromEntries(
    CONFIG_KEYS.map((key) => [key, originOf(given.values.get(key)?.source)]),
  );
  return Object.freeze({
    config: Object.freeze(config) as unknown as RunConfig,
    origins: Object.freeze(origins) as Record<ConfigKey, string>,
  });
}

/**
 * Checks entries of a part of the keys, for commands that share them with a run. Rules between keys and defaults that
 * depend on other keys do not apply.
 *
 * @throws {SpielError} of kind `usage`, naming every unknown key and wrong value at once.
 */
export function resolveKeys<Key extends ConfigKey>(
  keys: readonly Key[],
  entries: Iterable<ConfigEntry>,
): ConfigPart<Key> {
  const given = layEntries(entries, keys);
  const { values, problems } = checkValues(given, keys, flagName);
  if (given.problems.length + problems.length > 0) {
    throw problemsError([...given.problems, ...problems]);
  }
  return Object.fromEntries(
    keys.map((key) => [camelCase(key), freeze(values[key])]),
  ) as ConfigPart<Key>;
}

/**
 * Checks a configuration written in code.
 *
 * @example
 * ```ts
 * const { config } = runConfig({ model: "models/base", data: ["train.jsonl"], maxSteps: 100 });
 * ```
 * @throws {SpielError} of kind `usage`, naming every wrong value and broken rule.
 */
export function runConfig(options: RunOptions): ResolvedConfig {
  const keys = new Map<string, string>(CONFIG_KEYS.map((key) => [camelCase(key), key]));
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  const entries = given.map(([name, value]): ConfigEntry => ({
    key: keys.get(name) ?? name,
    value,
    source: { kind: "option" },
  }));
  return resolve(entries, camelCase);
}

/**
 * A configuration as `config.json` records it: each key as on disk with its value and origin; of addresses of the web
 * without what may be secret in them.
 */
export function configRecord(
  { config, origins }: ResolvedConfig,
): Record<ConfigKey, { value: unknown; origin: string }> {
  const record = CONFIG_KEYS.map((key) => {
    const value = config[camelCase(key) as keyof RunConfig];
    return [key, { value: shownValue(value) ?? null, origin: origins[key] }];
  });
  return Object.fromEntries(record);
}

/** A value without the secrets of addresses in it. */
function shownValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shownValue);
  return typeof value === "string" ? shownName(value) : value;
}

/**
 * The keys whose values two configurations must share for one to go on where the other stopped, and do not.
 *
 * @param before What an earlier `configRecord` held.
 */
export function resumeConflicts(
  before: Readonly<Record<string, { value: unknown }>>,
  now: ResolvedConfig,
): ConfigKey[] {
  const after = configRecord(now);
  return CONFIG_KEYS.filter((key) =>
    configKeyHelp().get(key)?.changeable === false && key in before &&
    JSON.stringify(presentValue(key, before[key]?.value)) !== JSON.stringify(after[key].value)
  );
}
