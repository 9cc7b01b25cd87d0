/** What a model's memory plan comes to: sizes as people read them, and the refusal of a plan over its budget. */

import type { MemoryTable } from "../engine/protocol.gen.ts";
import { SpielError } from "../errors.ts";

/** Bytes with a binary unit: `1.2 GiB`. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** What would lower a plan, as one part of a sentence. */
export function eitherOf(remedies: readonly string[]): string {
  return remedies.join(", ").replace(/, (?=[^,]*$)/, " or ");
}

/** The limit of a plan. */
export interface MemoryLimit {
  /** Most bytes; `null` is no limit. */
  readonly budget: number | null;
  /** Whether somebody chose it; else it is what is free. */
  readonly isGiven: boolean;
  /** What would lower the plan, in words. */
  readonly remedies: readonly string[];
}

/**
 * Refuses a plan over its limit, with the bytes of every purpose and with what would lower them.
 *
 * @throws {SpielError} `device`
 */
export function refuseOverBudget(
  { rows, totalBytes }: MemoryTable,
  { budget, isGiven, remedies }: MemoryLimit,
): void {
  if (budget === null || totalBytes <= budget) return;
  const limit = formatBytes(budget);
  const over = isGiven ? `the --memory-budget of ${limit}` : `the ${limit} that are free`;
  const ways = eitherOf(remedies) +
    (isGiven ? "" : "; --memory-budget none starts it anyway");
  const sizes = rows.map(({ purpose, bytes }) => `\n  - ${purpose}: ${formatBytes(bytes)}`).join(
    "",
  );
  throw new SpielError(
    "device",
    `This takes ${formatBytes(totalBytes)} of memory, over ${over}; ` +
      `try ${ways}. It is made of${sizes}`,
  );
}
