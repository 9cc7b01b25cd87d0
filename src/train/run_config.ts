/**
 * The configuration of a training run: one schema from which flags, config files, `--set`, `--help`, the
 * reference and the JSON Schema derive, and the checks that make a `RunConfig` of what was given.
 */

export { CONFIG_KEYS, type ConfigKey, runConfigSchema } from "./run_config/schema.ts";
export type { ConfigGroup, KeyInfo } from "./run_config/key_words.ts";
export { firstValue } from "./run_config/older_values.ts";
export {
  type ConfigKeyHelp,
  configKeyHelp,
  runConfigJsonSchema,
  type ValueKind,
} from "./run_config/describe.ts";
export {
  type ConfigEntry,
  type ConfigSource,
  problemsError,
  problemsIn,
  unknownKey,
} from "./run_config/entries.ts";
export {
  configRecord,
  type ResolvedConfig,
  resolveKeys,
  resolveRunConfig,
  resumeConflicts,
  runConfig,
} from "./run_config/resolve.ts";
export type {
  ConfigInput,
  ConfigPart,
  ConfigValues,
  DerivedKey,
  Frozen,
  RunConfig,
  RunOptions,
} from "./run_config/types.ts";
export { type CamelCase, camelCase } from "./run_config/naming.ts";
export { suggest } from "../suggest.ts";
