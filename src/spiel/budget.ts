/** How many deltas each module gets: a total, shared out in proportion to the modules' sizes as the reference does. */

import { SpielError } from "../errors.ts";
import type { DeltaCount, TensorInfo } from "../engine/protocol.gen.ts";

/** The total, in one of three spellings. */
export type Budget =
  /** Share of all the model's weights, embeddings included, 0 to 1. */
  | { readonly density: number }
  /** The total itself. */
  | { readonly numDeltas: number }
  /** The parameter count of a LoRA of this rank on the same modules. */
  | { readonly rankEquivalent: number };

/** The parts of a model that the budget depends on, as `ModelPlan` gives them. */
export interface BudgetModel {
  /** Weights in the model, a tied head counted once. */
  readonly parameters: number;
  /** Every tensor, in the order of the layers. */
  readonly tensors: readonly TensorInfo[];
}

/**
 * Shares a budget out: module m gets floor(total * size of m / size of all targeted modules) deltas.
 *
 * @param targetModules Module names or their ends, such as `q_proj` or `mlp.up_proj`.
 * @returns A count per targeted module, in the order of the layers; modules too small for one delta are left out.
 * @throws {SpielError} `usage` when a target matches nothing or the total does not fit.
 */
export function allotDeltas(
  model: BudgetModel,
  budget: Budget,
  targetModules: readonly string[],
): DeltaCount[] {
  const modules = targetsOf(model.tensors, targetModules);
  const capacity = modules.reduce((sum, { size }) => sum + size, 0);
  const total = totalDeltas(model.parameters, budget, modules);
  if (total > capacity) {
    const most = "density" in budget
      ? `; at most density ${roundedDown(capacity / model.parameters)}`
      : "";
    throw new SpielError(
      "usage",
      `${
        describe(budget)
      } asks for ${total} deltas, but the targeted modules have ${capacity} weights${most}`,
    );
  }
  const counts = modules.map(({ module, size }) => ({
    module,
    // Exact integers: total * size passes 2^53 in large models.
    count: Number(BigInt(total) * BigInt(size) / BigInt(capacity)),
  })).filter(({ count }) => count > 0);
  if (counts.length === 0) {
    const largest = Math.max(...modules.map(({ size }) => size));
    throw new SpielError(
      "usage",
      `${describe(budget)} leaves no delta for any targeted module; ` +
        `the largest gets its first of ${Math.ceil(capacity / largest)} in all`,
    );
  }
  return counts;
}

interface Target {
  module: string;
  /** Weights in the module. */
  size: number;
  /** Inputs plus outputs. */
  perimeter: number;
}

function targetsOf(tensors: readonly TensorInfo[], targetModules: readonly string[]): Target[] {
  const all = tensors.flatMap(({ deltaModule, shape: [out = 1, inputs = 1] }) =>
    deltaModule === null
      ? []
      : [{ module: deltaModule, size: out * inputs, perimeter: out + inputs }]
  );
  const unmatched = targetModules.filter((end) => !all.some(({ module }) => endsWith(module, end)));
  if (unmatched.length > 0) {
    const ends = [...new Set(all.map(({ module }) => module.slice(module.lastIndexOf(".") + 1)))];
    throw new SpielError(
      "usage",
      `target_modules ${unmatched.map((end) => `"${end}"`).join(", ")} match no linear layer; ` +
        `this model has ${ends.join(", ")}`,
    );
  }
  return all.filter(({ module }) => targetModules.some((end) => endsWith(module, end)));
}

function endsWith(module: string, end: string): boolean {
  return module === end || module.endsWith(`.${end}`);
}

function totalDeltas(parameters: number, budget: Budget, modules: readonly Target[]): number {
  if ("density" in budget) return Math.trunc(budget.density * parameters);
  if ("numDeltas" in budget) return budget.numDeltas;
  const perimeters = modules.reduce((sum, { perimeter }) => sum + perimeter, 0);
  return budget.rankEquivalent * perimeters;
}

function describe(budget: Budget): string {
  if ("density" in budget) return `density ${budget.density}`;
  if ("numDeltas" in budget) return `num_deltas ${budget.numDeltas}`;
  return `rank_equivalent ${budget.rankEquivalent}`;
}

/** To three digits. */
function roundedDown(share: number): string {
  const unit = 10 ** (Math.floor(Math.log10(share)) - 2);
  return (Math.floor(share / unit) * unit).toPrecision(3);
}
