/**
 * What a training run must remember besides tensors, and when a checkpoint belongs to another run.
 * Holds no times, paths or process ids: the same state is the same bytes on every machine.
 */

import { z } from "npm:zod@4.6.7";
import { SpielError } from "../errors.ts";

const count = z.int().min(0);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "expected 64 lower-case hexadecimal digits");

/** What a run is a run of. Two runs with equal identity and seed are the same run. */
export const runIdentitySchema = z.strictObject({
  /** SHA-256 of the options that change the result. */
  config_hash: sha256,
  /** SHA-256 that identifies the base model's weights and configuration. */
  base_model_hash: sha256,
  /** SHA-256 of the tokenised training set, in file order. */
  dataset_fingerprint: sha256,
});

export type RunIdentity = z.infer<typeof runIdentitySchema>;

export const checkpointStateSchema = z.strictObject({
  program_version: z.string(),
  run: runIdentitySchema,
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
