/** What the files of an adapter know of it. */

import { loadSftAdapter, type SftModule } from "./sft.ts";
import type { SftConfig } from "./sft_config.ts";

/** The facts of an adapter folder, as plain JSON; those that it does not record are null. */
export function describeAdapter(folder: string): Record<string, unknown> {
  const { config, modules } = loadSftAdapter(folder);
  const { spiel } = config;
  const deltas = sum([...modules.values()].map(({ values }) => values.length));
  const weights = sum([...modules.keys()].map((name) => weightsOf(name, config) ?? NaN));
  return {
    peft_type: config.peft_type,
    base_model: config.base_model_name_or_path,
    base_model_hash: spiel?.base_model_hash ?? null,
    method: spiel?.method ?? null,
    step: spiel?.step ?? null,
    density: config.density,
    deltas,
    share_of_modules: Number.isFinite(weights) ? deltas / weights : null,
    dtypes: [...new Set([...modules.values()].map(({ dtype }) => dtype))],
    target_modules: config.target_modules,
    selection_algorithm: config.selection_algorithm,
    reselection_steps: config.reselection_steps,
    selection_accumulation_steps: config.selection_accumulation_steps,
    initial_reselection_rate: config.initial_reselection_rate,
    reselection_rate_policy: config.reselection_rate_policy,
    program_version: spiel?.program_version ?? null,
    modules: Object.fromEntries(
      [...modules].map(([name, module]) => [name, describeModule(name, module, config)]),
    ),
  };
}

function describeModule(name: string, { values }: SftModule, config: SftConfig) {
  const weights = weightsOf(name, config);
  return {
    deltas: values.length,
    shape: config.spiel?.base_shapes?.[name] ?? null,
    share: weights === undefined ? null : values.length / weights,
    largest_value: values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0),
  };
}

/** Weights of a module in the base model, where the adapter records its shape. */
function weightsOf(name: string, { spiel }: SftConfig): number | undefined {
  const shape = spiel?.base_shapes?.[name];
  return shape && shape[0] * shape[1];
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
