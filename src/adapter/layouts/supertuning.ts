/** PEFT's SUPERTUNING layout: the deltas of SFT under other names, perhaps with a low-rank part beside them. */

import { z } from "npm:zod@4.6.7";
import { SpielError } from "../../errors.ts";
import type { SafetensorsTensor } from "../../io/safetensors_writer.ts";
import type { TensorFile } from "../../io/tensor_file.ts";
import type { Adapter, BaseModel, DenseChange, Shape, StoredDeltas } from "../adapter.ts";
import { LowRankChange } from "../dense/low_rank.ts";
import { ChangeWithDeltas } from "../dense/with_deltas.ts";
import { placeByMagnitude } from "./chosen_positions.ts";
import { COMMON_FIELDS, parseConfig } from "./config.ts";
import { padModules, placesTensor, valuesTensor } from "./encode_deltas.ts";
import { readFlatDeltas } from "./flat_deltas.ts";
import type { AdapterFiles, AdapterLayout, EncodedAdapter, SparseAdapter } from "./layout.ts";
import { modulesOf, readFloats, readMatrix, tensorName } from "./tensors.ts";

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

  read({ json, configPath, tensors, base }: AdapterFiles): Adapter {
    const config = parseConfig(schema, json, configPath);
    const modules = new Map<string, StoredDeltas>();
    const changes = new Map<string, DenseChange>();
    for (const [name, fields] of modulesOf(tensors, [VALUES, INDICES, DOWN, UP])) {
      const [values, indices] = [tensorName(name, VALUES), tensorName(name, INDICES)];
      const deltas = config.save_precomputed_indices || fields.has(INDICES)
        ? readFlatDeltas(tensors, values, indices, name)
        : placeAgain(tensors, name, config, base);
      if (!fields.has(DOWN) && !fields.has(UP)) modules.set(name, deltas);
      else changes.set(name, new ChangeWithDeltas(readLowRank(tensors, name, config), deltas));
    }
    const { sparsity, r, lora_alpha } = config;
    const { save_precomputed_indices } = config;
    const facts = { sparsity, save_precomputed_indices, ...(r !== null && { r, lora_alpha }) };
    return { layout: "SUPERTUNING", config, facts, modules, changes };
  },

  encode({ config, modules }: SparseAdapter, shapeOf: (module: string) => Shape): EncodedAdapter {
    const sizes = [...modules].map(([name, { values }]) => {
      const [out, inputs] = shapeOf(name);
      return { name, count: values.length, weights: out * inputs };
    });
    const sparsity = sparsityOf(sizes);
    const counts = new Map(sizes.map(({ name, weights }) => [name, countAt(sparsity, weights)]));
    const padded = padModules(modules, (name) => counts.get(name) ?? 0);
    const tensors = new Map<string, SafetensorsTensor>();
    for (const [name, { indices, values }] of padded.modules) {
      tensors.set(tensorName(name, VALUES), valuesTensor(values));
      tensors.set(tensorName(name, INDICES), placesTensor([indices], [indices.length], name));
    }
    const { base_model_name_or_path, target_modules, spiel } = config;
    return {
      config: {
        auto_mapping: null,
        base_model_name_or_path,
        inference_mode: true,
        init_weights: true,
        lora_alpha: null,
        lora_dropout: 0,
        modules_to_save: null,
        peft_type: "SUPERTUNING",
        r: null,
        revision: null,
        save_precomputed_indices: true,
        select_top: true,
        sparsity,
        target_modules,
        task_type: "CAUSAL_LM",
        ...(spiel && { spiel }),
      },
      tensors,
      padding: padded.padding,
    };
  },
};

interface ModuleSize {
  readonly name: string;
  readonly count: number;
  readonly weights: number;
}

/** How many values PEFT makes room for, in its own arithmetic. */
function countAt(sparsity: number, weights: number): number {
  return Math.trunc(weights * (1 - sparsity));
}

/**
 * The greatest sparsity, but for a hair, at which PEFT makes room for every module's deltas.
 *
 * @throws {SpielError} "data" where a module has all its weights changed.
 */
function sparsityOf(sizes: readonly ModuleSize[]): number {
  const fullest = sizes.reduce((most, one) =>
    one.count * most.weights > most.count * one.weights ? one : most
  );
  if (fullest.count === fullest.weights) {
    throw new SpielError(
      "data",
      `SUPERTUNING cannot hold deltas of all ${fullest.weights} weights of "${fullest.name}"`,
    );
  }
  const share = fullest.count / fullest.weights;
  // Products are truncated, so a share that is rounded down would lose a delta.
  for (let nudge = 0;; nudge = nudge === 0 ? Number.EPSILON / 2 : 2 * nudge) {
    const sparsity = 1 - share - nudge;
    if (sizes.every(({ count, weights }) => countAt(sparsity, weights) >= count)) return sparsity;
  }
}

/** Deltas whose positions are those that PEFT chooses again when it loads them. */
function placeAgain(
  file: TensorFile,
  module: string,
  { select_top }: Config,
  base: BaseModel,
): StoredDeltas {
  const name = tensorName(module, VALUES);
  const values = readFloats(file, name);
  const dtype = file.entry(name).dtype as StoredDeltas["dtype"];
  if (base.anyPositions) return { indices: Uint32Array.from(values.keys()), values, dtype };
  const weights = base.weightsOf(module);
  const fail = (reason: string) =>
    new SpielError("data", `${file.path}: "${module}" has values without indices, ${reason}`);
  if (weights === undefined || values.length > weights.length) {
    throw fail("which need the weights of its base model, in F32, F16 or BF16");
  }
  const order = select_top ? "greatest" : "least";
  const deltas = placeByMagnitude(weights, values, order, `${file.path}: "${module}"`);
  if (deltas !== undefined) return { ...deltas, dtype };
  throw fail(
    "and weights of equal magnitude in its base model, of which torch chose some; " +
      "save it with save_precomputed_indices=True",
  );
}

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
