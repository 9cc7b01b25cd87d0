/** The types of a configuration, all derived from the schema. */

import type { z } from "npm:zod@4.6.7";
import type { CamelCase } from "./naming.ts";
import type { ConfigKey, runConfigSchema } from "./schema.ts";

/** A value that nobody may change. */
export type Frozen<Value> = Value extends object ? Readonly<Value> : Value;

/**
 * Values by key as on disk, after reading.
 *
 * @internal
 */
export type ConfigValues = z.output<typeof runConfigSchema>;

/**
 * Values by key as on disk, before reading: keys with a default may be absent.
 *
 * @internal
 */
export type ConfigInput = z.input<typeof runConfigSchema>;

/** Some keys of a configuration, in camelCase. */
export type ConfigPart<Key extends ConfigKey> = {
  readonly [Name in Key as CamelCase<Name>]: Frozen<ConfigValues[Name]>;
};

/** Keys without a fixed default that always have a value once other keys are known. */
export type DerivedKey = "lr" | "micro_batch_tokens" | "result";

/**
 * The configuration of a run: the keys of the schema in camelCase, checked and frozen. Of `density`,
 * `numDeltas` and `rankEquivalent` exactly one is set, or none with method `full`; of `maxSteps` and
 * `epochs`, and of `warmupSteps` and `warmupRatio`, exactly one.
 */
export type RunConfig =
  & ConfigPart<Exclude<ConfigKey, DerivedKey>>
  & { readonly [Name in DerivedKey as CamelCase<Name>]: NonNullable<ConfigValues[Name]> };

/** A configuration as code writes it: `model` and `data`, and what differs from the defaults. */
export type RunOptions = {
  readonly [Name in keyof ConfigInput as CamelCase<Name>]: Frozen<ConfigInput[Name]>;
};
