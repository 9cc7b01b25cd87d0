/** Sparse deltas as tensors of layouts that fix how many a module has. */

import { SpielError } from "../../errors.ts";
import type { SafetensorsTensor } from "../../io/safetensors_writer.ts";
import { padDeltas } from "../arithmetic.ts";
import type { SparseDeltas } from "../deltas.ts";

const MOST_I32 = 0x7fff_ffff;

/** Brings every module's deltas to the count that the layout asks for, by deltas of value 0. */
export function padModules(
  modules: ReadonlyMap<string, SparseDeltas>,
  countOf: (module: string) => number,
): { readonly modules: Map<string, SparseDeltas>; readonly padding: number } {
  const padded = new Map<string, SparseDeltas>();
  let padding = 0;
  for (const [name, deltas] of modules) {
    const count = countOf(name);
    padding += count - deltas.values.length;
    padded.set(name, padDeltas(deltas, count));
  }
  return { modules: padded, padding };
}

/** Values as a tensor. */
export function valuesTensor(values: Float32Array<ArrayBuffer>): SafetensorsTensor {
  return { dtype: "F32", shape: [values.length], parts: () => [values] };
}

/**
 * Positions, or rows and columns, as a tensor.
 *
 * @param module For messages.
 * @throws {SpielError} "data" for one that I32, the only dtype of the layouts, cannot hold.
 */
export function placesTensor(
  parts: readonly Uint32Array<ArrayBuffer>[],
  shape: readonly number[],
  module: string,
): SafetensorsTensor {
  for (const places of parts) {
    const beyond = places.find((place) => place > MOST_I32);
    if (beyond === undefined) continue;
    throw new SpielError(
      "data",
      `The layout cannot hold position ${beyond} of "${module}", expected at most ${MOST_I32}`,
    );
  }
  return { dtype: "I32", shape, parts: () => parts };
}
