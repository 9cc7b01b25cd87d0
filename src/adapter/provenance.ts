/** What we record in an adapter's configuration under the one key "spiel", which other programs pass over. */

import { z } from "npm:zod@4.6.7";
import { QUANTIZED_FORMATS } from "../model/load.ts";

/** The schema of it. */
export const provenanceSchema = z.looseObject({
  format_version: z.int(),
  program_version: z.string(),
  /** Identifies the base model that the deltas were trained on. */
  base_model_hash: z.string(),
  /** Training method, such as "spiel-ag"; absent where the deltas are made from others. */
  method: z.string().optional(),
  /** Optimiser steps that the deltas were trained for. */
  step: z.int().optional(),
  /** Format to which the base model was quantised when the deltas were trained; absent where it was as stored. */
  quantize: z.enum(QUANTIZED_FORMATS).optional(),
  /** Every linear layer of the base model → [out, in], by which a flat index is a row and a column. */
  base_shapes: z.record(z.string(), z.tuple([z.int().min(1), z.int().min(1)])).optional(),
});

/** Where an adapter of ours comes from. */
export type Provenance = z.infer<typeof provenanceSchema>;

/** Version of what stands under "spiel". */
export const PROVENANCE_VERSION = 1;
