/** Values that have been renamed: still read, and what runs of older versions are known by. */

import type { ConfigKey } from "./schema.ts";

/** The present value by the older one, per key. */
const OLDER_VALUES: Partial<Record<ConfigKey, Readonly<Record<string, string>>>> = {
  packing: { ffd: "pack" },
};

/** A value as it is called now. */
export function presentValue(key: ConfigKey, value: unknown): unknown {
  return typeof value === "string" ? OLDER_VALUES[key]?.[value] ?? value : value;
}

/** A value as it was called first. */
export function firstValue(key: ConfigKey, value: unknown): unknown {
  const renamed = Object.entries(OLDER_VALUES[key] ?? {});
  return renamed.find(([, present]) => present === value)?.[0] ?? value;
}
