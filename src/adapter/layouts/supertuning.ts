/** PEFT's SUPERTUNING layout: the deltas of SFT under other names, perhaps with a low-rank part beside them. */

import { z } from "npm:zod@4.6.7";
import { SpielError } from "../../errors.ts";
import type { TensorFile } from "../../io/tensor_file.ts";
import type { Adapter, DenseChange, StoredDeltas } from "../adapter.ts";
import { LowRankChange } from "../dense/low_rank.ts";
import { ChangeWithDeltas } from "../dense/with_deltas.ts";
import { COMMON_FIELDS, configError, parseConfig } from "./config.ts";
import { readFlatDeltas } from "./flat_deltas.ts";
import type { AdapterFiles, AdapterLayout } from "./layout.ts";
import { modulesOf, readMatrix, tensorName } from "./tensors.ts";

const VALUES = "supertuning_values";
const INDICES = "supertuning_indices";
const DOWN = "supertuning_lora_A.weight";
const UP = "supertuning_lora_B.weight";

const schema = z.object({
  ...COMMON_FIELDS,
  lora_alpha: z.number().nullable().default(null),
  peft_type: z.literal("SUPERTUNING"),
  /** Rank of the low-rank part; null without one. */
  r: z.int().min(1).nullable().default(null),
  save_precomputed_indices: z.boolean().default(true),
  select_top: z.boolean().default(true),
  sparsity: z.number().nullable().default(null),
});

type Config = z.infer<typeof schema>;

/** The layout. */
export const SUPERTUNING: AdapterLayout = {
  peftType: "SUPERTUNING",

  read({ json, configPath, tensors }: AdapterFiles): Adapter {
    const config = parseConfig(schema, json, configPath);
    if (!config.save_precomputed_indices) {
      throw configError(
        configPath,
        "save_precomputed_indices is false, so its positions are those that torch would choose " +
          "again in the base model; expected true: save it with its indices",
      );
    }
    const modules = new Map<string, StoredDeltas>();
    const changes = new Map<string, DenseChange>();
    for (const [name, fields] of modulesOf(tensors, [VALUES, INDICES, DOWN, UP])) {
      const [values, indices] = [tensorName(name, VALUES), tensorName(name, INDICES)];
      const deltas = readFlatDeltas(tensors, values, indices, name);
      if (!fields.has(DOWN) && !fields.has(UP)) modules.set(name, deltas);
      else changes.set(name, new ChangeWithDeltas(readLowRank(tensors, name, config), deltas));
    }
    const { sparsity, r, lora_alpha } = config;
    const facts = { sparsity, ...(r !== null && { r, lora_alpha }) };
    return { layout: "SUPERTUNING", config, facts, modules, changes };
  },
};

function readLowRank(file: TensorFile, name: string, { r, lora_alpha }: Config): LowRankChange {
  if (r === null || lora_alpha === null) {
    throw new SpielError(
      "data",
      `${file.path}: "${name}" has a low-rank part, but the configuration has ` +
        `${r === null ? "no r" : "no lora_alpha"}`,
    );
  }
  const down = readMatrix(file, tensorName(name, DOWN), [r, null]);
  const up = readMatrix(file, tensorName(name, UP), [null, r]);
  return new LowRankChange({
    down: down.values,
    up: up.values,
    rank: r,
    scale: lora_alpha / r,
  });
}
