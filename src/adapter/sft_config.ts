/** `adapter_config.json` of the reference's sparse fine-tuning (SFT) layout. */

import { basename } from "node:path";
import { z } from "npm:zod@4.6.7";
import { SpielError } from "../errors.ts";
import { canonicalJson } from "../io/canonical_json.ts";
import { firstIssue } from "../io/issue.ts";

/** What we add under the one key "spiel", which other programs pass over. */
const provenanceSchema = z.looseObject({
  format_version: z.int(),
  program_version: z.string(),
  /** Identifies the base model that the deltas were trained on. */
  base_model_hash: z.string(),
  /** Training method, such as "spiel-ag". */
  method: z.string(),
  /** Optimiser steps that the deltas were trained for. */
  step: z.int(),
  /** Every linear layer of the base model → [out, in], by which a flat index is a row and a column. */
  base_shapes: z.record(z.string(), z.tuple([z.int().min(1), z.int().min(1)])).optional(),
});

/** Where an adapter of ours comes from. */
export type SftProvenance = z.infer<typeof provenanceSchema>;

/** Version of what stands under "spiel". */
export const PROVENANCE_VERSION = 1;

// The defaults are the reference's own, for files that leave a key out.
const schema = z.object({
  auto_mapping: z.json().default(null),
  base_model_name_or_path: z.string().nullable().default(null),
  candidate_reselection_proportion: z.number().default(0.2),
  candidate_reselection_steps: z.int().nullable().default(null),
  density: z.number().nullable().default(0.01),
  dtype: z.enum(["float32", "bfloat16", "float16", "auto"]).nullable().default("float32"),
  inference_mode: z.boolean().default(true),
  initial_reselection_rate: z.number().default(0.2),
  modules_to_save: z.array(z.string()).nullable().default(null),
  /** Module name without the `base_model.model.` prefix → its number of deltas. */
  num_deltas: z.record(z.string(), z.int().min(0)).nullable().default(null),
  num_tunable_weights: z.number().nullable().default(null),
  peft_type: z.literal("SFT"),
  reselection_rate_policy: z.enum(["linear", "cosine"]).default("linear"),
  reselection_steps: z.int().default(20),
  revision: z.string().nullable().default(null),
  selection_accumulation_steps: z.int().default(5),
  selection_algorithm: z.enum(["rigl", "sm3"]).default("rigl"),
  target_modules: z.union([z.array(z.string()), z.string()]).nullable().default(null),
  task_type: z.string().nullable().default("CAUSAL_LM"),
  spiel: provenanceSchema.optional(),
});

/** The complete key set, as on disk. "rigl" is accumulated gradients, "sm3" momentum approximation. */
export type SftConfig = z.infer<typeof schema>;

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
 * @throws SpielError "data" that names the field, or the kind of adapter when it is not SFT.
 */
export function parseSftConfig(json: Record<string, unknown>, path: string): SftConfig {
  const fail = (reason: string) =>
    new SpielError("data", `Cannot load adapter "${path}": ${reason}`);
  if (json.peft_type !== "SFT") {
    const found = json.peft_type === undefined
      ? `${basename(path)} has no peft_type`
      : `peft_type is ${JSON.stringify(json.peft_type)}`;
    throw fail(`${found}, expected "SFT" (sparse deltas)`);
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) throw fail(firstIssue(parsed.error));
  if (parsed.data.modules_to_save?.length) {
    throw fail(
      `modules_to_save names whole modules (${parsed.data.modules_to_save.join(", ")}), ` +
        "expected null: only sparse deltas are read",
    );
  }
  return parsed.data;
}
