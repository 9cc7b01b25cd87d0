/** `adapter_config.json` of the reference's sparse fine-tuning (SFT) layout. */

import { z } from "npm:zod@4.6.7";
import { canonicalJson } from "../../io/canonical_json.ts";
import { COMMON_FIELDS, parseConfig } from "./config.ts";

/** What tells how deltas were trained; absent where that is not known, such as of deltas made from others. */
const TRAINING_FIELDS = {
  candidate_reselection_proportion: z.number().optional(),
  candidate_reselection_steps: z.int().nullable().optional(),
  density: z.number().nullable().optional(),
  initial_reselection_rate: z.number().optional(),
  reselection_rate_policy: z.enum(["linear", "cosine"]).optional(),
  reselection_steps: z.int().optional(),
  selection_accumulation_steps: z.int().optional(),
  /** "rigl" is accumulated gradients, "sm3" momentum approximation. */
  selection_algorithm: z.enum(["rigl", "sm3"]).optional(),
};

const schema = z.object({
  ...COMMON_FIELDS,
  ...TRAINING_FIELDS,
  dtype: z.enum(["float32", "bfloat16", "float16", "auto"]).nullable().default("float32"),
  /** Module name without the `base_model.model.` prefix → its number of deltas. */
  num_deltas: z.record(z.string(), z.int().min(0)).nullable().default(null),
  num_tunable_weights: z.number().nullable().default(null),
  peft_type: z.literal("SFT"),
});

/** The key set as on disk. */
export type SftConfig = z.infer<typeof schema>;

/** Of a trained adapter, what the reference also writes and no method here has. */
export const REFERENCE_FIELDS = {
  candidate_reselection_proportion: 0.2,
  candidate_reselection_steps: null,
} as const;

/** What a writer chooses; the rest has the reference's defaults or follows from the deltas. */
export type SftConfigInput = Omit<
  z.input<typeof schema>,
  "peft_type" | "num_deltas" | "dtype" | "inference_mode"
>;

/** A configuration for f32 deltas of the given lengths. */
export function sftConfig(input: SftConfigInput, numDeltas: Record<string, number>): SftConfig {
  return schema.parse({
    ...input,
    peft_type: "SFT",
    num_deltas: numDeltas,
    dtype: "float32",
    inference_mode: true,
  });
}

/** The text of the file: every key, sorted, as the reference writes it. */
export function encodeSftConfig(config: SftConfig): string {
  return canonicalJson(config);
}

/**
 * Checks a parsed `adapter_config.json`.
 *
 * @param path the file, for messages.
 * @throws SpielError "data" that names the field.
 */
export function parseSftConfig(json: unknown, path: string): SftConfig {
  return parseConfig(schema, json, path);
}
