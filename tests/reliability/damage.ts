/** Models as one file each that is then cut or has bits flipped, and what a user may see of them. */

import assert from "node:assert/strict";
import { isSpielError, SpielError } from "../../src/errors.ts";
import { evaluateModel } from "../../src/train/evaluate_model.ts";
import type { HostedDevice } from "../support/hosts.ts";

/** Length of the header of a safetensors file. */
export function safetensorsHeaderLength(bytes: Uint8Array): number {
  return 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
}

/** A copy with some bits of the first `length` bytes flipped. */
export function flipBits(
  bytes: Uint8Array,
  length: number,
  count: number,
  random: () => number,
): Uint8Array {
  const flipped = bytes.slice();
  for (let i = 0; i < count; i++) {
    flipped[Math.floor(random() * length)]! ^= 1 << Math.floor(random() * 8);
  }
  return flipped;
}

/** Longer than any of these files takes, undamaged or refused. */
const PATIENCE_MS = 20_000;

/**
 * Loads a model and measures it. A flipped bit may be harmless, such as in a number that does not matter here;
 * otherwise the model must be refused in a sentence, and quickly.
 *
 * @returns The refusal, or null.
 */
export async function refusalOf(
  place: Pick<HostedDevice, "host" | "device">,
  model: string,
  data: string,
): Promise<SpielError | null> {
  const begun = performance.now();
  const { host, device } = place;
  try {
    const { loss } = await evaluateModel({ model, data: [data], maxLength: 48, host, device });
    assert.ok(Number.isFinite(loss));
    return null;
  } catch (error) {
    if (!isSpielError(error)) throw error;
    assert.notEqual(error.kind, "internal", error.message);
    // A sentence, and a list behind it where every example is refused.
    assert.match(error.message, /^\P{Cc}{10,}(\n {2}- \P{Cc}+)*$/u);
    return error;
  } finally {
    const elapsed = performance.now() - begun;
    assert.ok(elapsed < PATIENCE_MS, `took ${elapsed} ms`);
  }
}
