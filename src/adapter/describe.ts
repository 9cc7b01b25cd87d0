/** What the files of an adapter know of it. */

import type { AdapterConfig, BaseModel, DenseChange, StoredDeltas } from "./adapter.ts";
import { loadAdapter } from "./load.ts";

/** Positions are not shown. */
const ANY_BASE: BaseModel = {
  shapeOf: () => undefined,
  weightsOf: () => undefined,
  anyPositions: true,
};

/** The facts of an adapter folder, as plain JSON; those that it does not record are null. */
export function describeAdapter(folder: string): Record<string, unknown> {
  const { layout, config, facts, modules, changes } = loadAdapter(folder, ANY_BASE);
  const { spiel } = config;
  const deltas = sum([...modules.values()].map(({ values }) => values.length));
  const weights = sum([...modules.keys()].map((name) => weightsOf(name, config) ?? NaN));
  const described = [
    ...[...modules].map(([name, one]) => [name, describeDeltas(name, one, config)] as const),
    ...[...changes].map(([name, one]) => [name, describeChange(one)] as const),
  ];
  return {
    peft_type: layout,
    base_model: config.base_model_name_or_path,
    base_model_hash: spiel?.base_model_hash ?? null,
    method: spiel?.method ?? null,
    step: spiel?.step ?? null,
    quantize: spiel?.quantize ?? null,
    deltas,
    share_of_modules: Number.isFinite(weights) && deltas > 0 ? deltas / weights : null,
    dtypes: [...new Set([...modules.values()].map(({ dtype }) => dtype))],
    changed_matrices: changes.size,
    target_modules: config.target_modules,
    ...facts,
    program_version: spiel?.program_version ?? null,
    modules: Object.fromEntries(described),
  };
}

function describeDeltas(name: string, { values }: StoredDeltas, config: AdapterConfig) {
  const weights = weightsOf(name, config);
  return {
    deltas: values.length,
    shape: config.spiel?.base_shapes?.[name] ?? null,
    share: weights === undefined ? null : values.length / weights,
    largest_value: values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0),
  };
}

function describeChange({ shape, parameters }: DenseChange) {
  return { parameters, shape };
}

/** Weights of a module in the base model, where the adapter records its shape. */
function weightsOf(name: string, { spiel }: AdapterConfig): number | undefined {
  const shape = spiel?.base_shapes?.[name];
  return shape && shape[0] * shape[1];
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
