/**
 * What a training run must remember besides tensors, and when a checkpoint belongs to another run.
 * Holds no times, paths or process ids: the same run on the same host and device gives the same bytes.
 */

import { z } from "npm:zod@4.6.7";
import { SpielError } from "../errors.ts";

const count = z.int().min(0);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "expected 64 lower-case hexadecimal digits");

/**
 * What a run is a run of. Two runs with equal identity are the same run, and equal to the last bit on the same host
 * and device.
 */
export const runIdentitySchema = z.strictObject({
  /** SHA-256 of the options that change the result. */
  config_hash: sha256,
  /** SHA-256 that identifies the base model's weights and configuration. */
  base_model_hash: sha256,
  /** SHA-256 of the tokenised training set, in file order. */
  dataset_fingerprint: sha256,
  /** SHA-256 of the tokenised held-out set, which decides what is best; null without any. */
  held_out_fingerprint: sha256.nullable(),
  /** SHA-256 of the weights of the adapter that the run began with; null without one. */
  adapter_digest: sha256.nullable(),
});

export type RunIdentity = z.infer<typeof runIdentitySchema>;

/** Where arrays are computed. Hosts and devices sum in different orders, so their results differ in the last bits. */
const placeSchema = z.strictObject({ host: z.enum(["native", "wasm"]), device: z.string() });
export type Place = z.infer<typeof placeSchema>;

export const checkpointStateSchema = z.strictObject({
  program_version: z.string(),
  run: runIdentitySchema,
  /** Where the run was when it was saved. */
  place: placeSchema,
  /** What its products by weights round to, which it keeps wherever it goes on; older runs have it among their options alone. */
  precision: z.enum(["f32", "f16", "bf16"]).optional(),
  /** Optimiser steps done; the position in every schedule follows from it. */
  step: count,
  /** Data cursor: index, over all epochs, of the next micro-batch. */
  micro_batch: count,
  tokens: count,
  target_tokens: count,
  /** Micro-batches seen by the open candidate window; 0 when none is open. */
  window_samples: count,
  /** Step of the last complete evaluation, or null before the first; an interrupted one is made again. */
  evaluated_step: count.nullable(),
  /** The best evaluation so far, or null before the first. */
  best_eval: z.strictObject({ step: count, loss: z.number() }).nullable(),
  early_stop: z.strictObject({ evaluations_without_improvement: count }),
});

/** The JSON side of a checkpoint. */
export type CheckpointState = z.infer<typeof checkpointStateSchema>;

const IDENTITY_WORDS: Readonly<Record<keyof RunIdentity, string>> = {
  config_hash: "other training options",
  base_model_hash: "another base model",
  dataset_fingerprint: "other training data",
  held_out_fingerprint: "other held-out data",
  adapter_digest: "another adapter to begin with",
};

/**
 * Refuses to go on with a checkpoint that another run made.
 *
 * @throws SpielError "usage" that says which of options, model and data differ.
 */
export function refuseOtherRun(state: CheckpointState, run: RunIdentity, path: string): void {
  const keys = Object.keys(IDENTITY_WORDS) as (keyof RunIdentity)[];
  const differing = keys.filter((key) => state.run[key] !== run[key]);
  if (differing.length === 0) return;
  const words = differing.map((key) => IDENTITY_WORDS[key]).join(" and ");
  throw new SpielError(
    "usage",
    `Cannot resume from "${path}": it was made with ${words}; ` +
      "resume with the same ones, or start anew with another --out",
  );
}

/** The warning for a run that goes on elsewhere; null where it stays. */
export function movedWarning({ place: before, step }: CheckpointState, now: Place): string | null {
  if (before.host === now.host && before.device === now.device) return null;
  return `Up to step ${step} this run was on host ${before.host}, device ${before.device}; on host ${now.host}, ` +
    `device ${now.device} its results will differ in the last bits from those of a run in one place`;
}
