/** What the steps of a trace consist of. */

import { sumByOperation } from "../src/train/profile.ts";
import type { TraceEvent } from "../src/train/trace.ts";
import { round } from "./statistics.ts";

/** Operations that are dense products of activations and weights. */
export const PRODUCT = /^product|^linear_packed/;

/** Operations that belong together, by the first pattern that fits. */
const GROUPS: readonly (readonly [name: string, operations: RegExp])[] = [
  ["products by weights", PRODUCT],
  ["weights for products", /^(materialise|add_deltas|linear_deltas|apply_in_place|restore)$/],
  ["attention, forward", /^attention$/],
  ["attention, backward", /^attention_/],
  ["gradients at deltas", /^(sampled_gradient|transpose|gather|accumulate_candidates)$/],
  ["gated units", /^glu/],
  ["norms, rotary positions, residuals, loss, update and all else", /^/],
];

/** Operations of which steps have some that choose candidates, or have a reselection after them. */
const CHOICE = /^(choose_|reselect$|rearrange$)/;

/** One step of a trace. */
export interface TracedStep {
  /** Such as `step 2`. */
  readonly name: string;
  readonly seconds: number;
  readonly operations: readonly TraceEvent[];
}

/** The steps of a trace in their order, with the operations that lie in each. */
export function stepsOf(events: readonly TraceEvent[]): TracedStep[] {
  const steps: (TracedStep & { readonly operations: TraceEvent[] })[] = [];
  const lane = events.find(({ ph, args }) => ph === "M" && args["name"] === "steps")?.tid;
  // A step comes before what it contains.
  for (const event of events.filter(({ ph }) => ph === "X")) {
    const { name, tid, dur = 0 } = event;
    if (tid === lane) steps.push({ name, seconds: dur / 1e6, operations: [] });
    else steps.at(-1)?.operations.push(event);
  }
  return steps;
}

/**
 * Steps that are like most steps of a run: not the first one, which also touches its memory for the first time or has lost
 * its begin, and none that chooses candidates or reselects.
 */
export function usualSteps(steps: readonly TracedStep[]): TracedStep[] {
  return steps.slice(1).filter(({ operations }) =>
    !operations.some(({ name }) => CHOICE.test(name))
  );
}

/** The groups of operations that steps consist of, the one that takes the longest first; then all steps. */
export function sharesOf(steps: readonly TracedStep[]): Record<string, unknown>[] {
  const events = steps.flatMap(({ operations }) => operations);
  const total = steps.reduce((sum, { seconds }) => sum + seconds, 0);
  const perStep = (seconds: number) => round(1000 * seconds / steps.length);
  const sums = sumByOperation(events.map(rowOf), null);
  const products = sums.find(({ operation }) => operation === groupOf("product"))?.seconds ?? 0;
  return [
    ...sums.map(({ operation: group, seconds, flops, bytes }) => ({
      group,
      operations: [...new Set(events.map(({ name }) => name))].filter((name) =>
        groupOf(name) === group
      ),
      share: round(seconds! / total),
      milliseconds: perStep(seconds!),
      gflops_per_second: flops && round(flops / seconds! / 1e9),
      gigabytes_per_second: bytes && round(bytes / seconds! / 1e9),
    })),
    {
      steps: steps.map(({ name }) => name),
      milliseconds: perStep(total),
      // Attention's own products are part of its operations, and are none of these.
      product_share: round(products / total),
    },
  ];
}

function groupOf(operation: string): string {
  return GROUPS.find(([, operations]) => operations.test(operation))![0];
}

/** An operation's event as a row of its group. */
function rowOf({ name, dur = 0, args: { flops, bytes } }: TraceEvent) {
  const amount = (value: unknown) => typeof value === "number" ? value : null;
  return {
    ...{ operation: groupOf(name), shape: [], format: null, calls: 1, seconds: dur / 1e6 },
    ...{ flops: amount(flops), bytes: amount(bytes) },
  };
}
