/** What the configurations of all layouts have in common. */

import { z } from "npm:zod@4.6.7";
import { SpielError } from "../../errors.ts";
import { firstIssue } from "../../io/issue.ts";
import { provenanceSchema } from "../provenance.ts";

/** Fields of every `adapter_config.json`, with the defaults of PEFT for files that leave one out. */
export const COMMON_FIELDS = {
  auto_mapping: z.json().default(null),
  base_model_name_or_path: z.string().nullable().default(null),
  inference_mode: z.boolean().default(true),
  modules_to_save: z.array(z.string()).nullable().default(null),
  revision: z.string().nullable().default(null),
  target_modules: z.union([z.array(z.string()), z.string()]).nullable().default(null),
  task_type: z.string().nullable().default("CAUSAL_LM"),
  spiel: provenanceSchema.optional(),
} as const;

/** An `adapter_config.json` whose reader refuses what it cannot honour. */
export function configError(path: string, reason: string): SpielError {
  return new SpielError("data", `Cannot load adapter "${path}": ${reason}`);
}

/**
 * Checks a configuration.
 *
 * @param path The file, for messages.
 * @throws {SpielError} "data" that names the field.
 */
export function parseConfig<T extends { modules_to_save: string[] | null }>(
  schema: z.ZodType<T>,
  json: unknown,
  path: string,
): T {
  const parsed = schema.safeParse(json);
  if (!parsed.success) throw configError(path, firstIssue(parsed.error));
  const { modules_to_save: whole } = parsed.data;
  if (!whole?.length) return parsed.data;
  throw configError(
    path,
    `modules_to_save names whole modules (${whole.join(", ")}), expected null: ` +
      "only changes of the base model's matrices are read",
  );
}
