/** What a model's memory plan comes to: sizes as people read them, and the refusal of a plan over its budget. */

import type { MemoryTable, ModelOptions } from "../engine/protocol.gen.ts";
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

/** What a plan depends on, as far as one can choose it. */
type Choices = Pick<ModelOptions, "memoryBudget" | "trainable" | "activationCheckpointing">;

/**
 * Refuses a plan that exceeds its budget, with the bytes of every purpose and with what would lower them.
 *
 * @param isGiven Whether somebody chose the budget; else it is what is free.
 * @throws {SpielError} `device`
 */
export function refuseOverBudget(
  { rows, totalBytes }: MemoryTable,
  choices: Choices,
  isGiven: boolean,
): void {
  const { memoryBudget } = choices;
  if (memoryBudget === null || totalBytes <= memoryBudget) return;
  const budget = formatBytes(memoryBudget);
  const over = isGiven ? `the --memory-budget of ${budget}` : `the ${budget} that are free`;
  const remedies = remediesFor(choices) +
    (isGiven ? "" : "; --memory-budget none starts it anyway");
  const sizes = rows.map(({ purpose, bytes }) => `\n  - ${purpose}: ${formatBytes(bytes)}`).join(
    "",
  );
  throw new SpielError(
    "device",
    `This takes ${formatBytes(totalBytes)} of memory, over ${over}; ` +
      `try ${remedies}. It is made of${sizes}`,
  );
}

function remediesFor({ trainable, activationCheckpointing }: Choices): string {
  if (trainable === "nothing") {
    return "a smaller model, or with evaluate a smaller --micro-batch-tokens";
  }
  const remedies = ["a smaller --micro-batch-tokens"];
  if (activationCheckpointing === "none") {
    remedies.push("--activation-checkpointing block");
  }
  if (trainable === "deltas") remedies.push("a lower --density");
  if (trainable === "weights") remedies.push("a --method with deltas");
  return remedies.join(", ").replace(/, (?=[^,]*$)/, " or ");
}
