/** PEFT's LoRA layout, with rank-stabilised scales and DoRA. */

import { z } from "npm:zod@4.6.7";
import { SpielError } from "../../errors.ts";
import type { TensorFile } from "../../io/tensor_file.ts";
import type { Adapter, DenseChange } from "../adapter.ts";
import { LowRankChange } from "../dense/low_rank.ts";
import { COMMON_FIELDS, configError, parseConfig } from "./config.ts";
import type { AdapterFiles, AdapterLayout } from "./layout.ts";
import { modulesOf, readFloats, readMatrix, tensorName } from "./tensors.ts";

const DOWN = "lora_A.weight";
const UP = "lora_B.weight";
/** The name of today, and the one of PEFT 0.9. */
const MAGNITUDES = ["lora_magnitude_vector", "lora_magnitude_vector.weight"];

const schema = z.object({
  ...COMMON_FIELDS,
  alpha_pattern: z.record(z.string(), z.number()).nullable().default({}),
  lora_alpha: z.number().default(8),
  peft_type: z.literal("LORA"),
  r: z.int().min(1).default(8),
  rank_pattern: z.record(z.string(), z.int().min(1)).nullable().default({}),
  use_dora: z.boolean().default(false),
  use_rslora: z.boolean().default(false),
});

type Config = z.infer<typeof schema>;

/** What leaves the base model's matrices as they are before training; other starts change them. */
const PLAIN_STARTS: readonly unknown[] = [true, false, "gaussian", "eva", "orthogonal"];

/** Fields that ask for more than B A, and the values by which they do not. */
const PLAIN_VALUES: Readonly<Record<string, readonly unknown[]>> = {
  alora_invocation_tokens: [null],
  arrow_config: [null],
  bias: ["none"],
  fan_in_fan_out: [false],
  init_lora_weights: PLAIN_STARTS,
  kasa_config: [null],
  layer_replication: [null],
  lora_bias: [false],
  monteclora_config: [null],
  target_parameters: [null],
  trainable_token_indices: [null],
  use_bdlora: [null, false],
  use_qalora: [false],
  velora_config: [null],
};

/** The layout. */
export const LORA: AdapterLayout = {
  peftType: "LORA",

  read({ json, configPath, tensors }: AdapterFiles): Adapter {
    const config = parseConfig(schema, json, configPath);
    for (const [field, plain] of Object.entries(PLAIN_VALUES)) {
      const value = json[field];
      if (value === undefined || plain.includes(value)) continue;
      const expected = plain.map((one) => JSON.stringify(one)).join(" or ");
      const reason = `${field} is ${JSON.stringify(value)}, expected ${expected}`;
      throw configError(configPath, `${reason}: only W + scale * B A is read, and DoRA's of it`);
    }
    const patterns = {
      rank: patternOf(config.rank_pattern, "rank_pattern", configPath),
      alpha: patternOf(config.alpha_pattern, "alpha_pattern", configPath),
    };
    const changes = new Map<string, DenseChange>();
    for (const [name, fields] of modulesOf(tensors, [DOWN, UP, ...MAGNITUDES])) {
      const rank = patterns.rank(name) ?? config.r;
      const alpha = patterns.alpha(name) ?? config.lora_alpha;
      const scale = alpha / (config.use_rslora ? Math.sqrt(rank) : rank);
      const down = readMatrix(tensors, tensorName(name, DOWN), [rank, null]);
      const up = readMatrix(tensors, tensorName(name, UP), [null, rank]);
      const magnitude = readMagnitude(tensors, name, fields, config, up.rows);
      const factors = { down: down.values, up: up.values, rank, scale, magnitude };
      changes.set(name, new LowRankChange(factors));
    }
    const { r, lora_alpha, use_rslora, use_dora } = config;
    const facts = { r, lora_alpha, use_rslora, use_dora };
    return { layout: "LORA", config, facts, modules: new Map(), changes };
  },
};

function readMagnitude(
  file: TensorFile,
  module: string,
  fields: ReadonlySet<string>,
  { use_dora }: Config,
  rows: number,
): Float32Array | undefined {
  const field = MAGNITUDES.find((one) => fields.has(one));
  if (field === undefined && !use_dora) return undefined;
  const name = tensorName(module, field ?? MAGNITUDES[0]!);
  const { shape } = file.entry(name);
  if (use_dora && shape.join() === `${rows}`) return readFloats(file, name);
  const problem = use_dora
    ? `has shape [${shape.join(", ")}], expected [${rows}]`
    : "belongs to DoRA, but use_dora is false";
  throw new SpielError("data", `${file.path}: "${name}" ${problem}`);
}

/** Names and their ends, with the escapes of a regular expression that means no more than that. */
const PLAIN_PATTERN = /^\^?(?:[\w-]|\\?\.)+\$?$/;

/**
 * The lookup of a value by module, in the way of PEFT: the first key that is a module's name or the end of it.
 *
 * @throws {SpielError} "data" for keys that are regular expressions.
 */
function patternOf(
  pattern: Readonly<Record<string, number>> | null,
  field: string,
  configPath: string,
): (module: string) => number | undefined {
  const keys = Object.keys(pattern ?? {}).map((key) => {
    if (PLAIN_PATTERN.test(key)) {
      return { key, name: key.replace(/^\^|\$$/g, "").replaceAll("\\", ""), whole: key[0] === "^" };
    }
    const reason = `${field} has the key ${JSON.stringify(key)}, expected the name of a module`;
    throw configError(configPath, reason);
  });
  return (module) => {
    const found = keys.find(({ name, whole }) =>
      module === name || !whole && module.endsWith(`.${name}`)
    );
    return found && pattern?.[found.key];
  };
}
