/** One module of the fake engine: its arrays, and how optimisers and reselections change them. */

import type { OptimizerUpdate, Request } from "../../src/engine/protocol.gen.ts";

/** The name of an array. */
export type Field = Extract<Request, { op: "stateRead" }>["field"];

/** What one module holds; every array is in the order of its indices. */
export interface Module {
  columns: number;
  fields: Map<Field, Uint32Array | Float32Array>;
}

/** Replaces the deltas in some slots by new ones at other positions, in the order of all positions. */
export function reseat(module: Module, dropped: number[], grown: number[]): void {
  const slots = [...module.fields.get("indices")!].map((index, slot) => {
    const place = dropped.indexOf(slot);
    return place < 0 ? { index, from: slot } : { index: grown[place]!, from: undefined };
  }).sort((a, b) => a.index - b.index);
  const fresh: [Field, number][] = [["values", 0], ["grads", 0], ["ages", 2], ["expAvg", 0.01], [
    "expAvgSq",
    0.001,
  ]];
  for (const [field, start] of fresh) {
    const before = floatsOf(module, field);
    module.fields.set(
      field,
      Float32Array.from(slots, ({ from }) => from === undefined ? start : before[from]!),
    );
  }
  module.fields.set("indices", Uint32Array.from(slots, ({ index }) => index));
}

/** An update of one delta by its averaged gradient. */
export function momentum(module: Module, slot: number, update: OptimizerUpdate): void {
  const [grads, first] = [floatsOf(module, "grads"), floatsOf(module, "expAvg")];
  first[slot] = update.beta1 * first[slot]! + (1 - update.beta1) * grads[slot]!;
  floatsOf(module, "expAvgSq")[slot]! += grads[slot]! ** 2;
  floatsOf(module, "values")[slot]! -= update.learningRate * first[slot]!;
  floatsOf(module, "ages")[slot]! += 1;
}

/** An update of one delta by the accumulators of its row and column. */
export function sm3(module: Module, slot: number, index: number, update: OptimizerUpdate): void {
  const grad = floatsOf(module, "grads")[slot]!;
  const [rows, columns] = [
    floatsOf(module, "rowAccumulator"),
    floatsOf(module, "columnAccumulator"),
  ];
  const [row, column] = [Math.floor(index / module.columns), index % module.columns];
  rows[row]! += grad * grad;
  columns[column]! += grad * grad;
  const size = Math.sqrt(Math.min(rows[row]!, columns[column]!) + update.epsilon);
  floatsOf(module, "values")[slot]! -= 0.1 * update.learningRate * grad / size;
}

/** An array of floats. */
export function floatsOf(module: Module, field: Field): Float32Array {
  return module.fields.get(field) as Float32Array;
}

/** The delta in a slot. */
export function value(module: Module, slot: number): number {
  return floatsOf(module, "values")[slot]!;
}
