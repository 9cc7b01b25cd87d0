/** Positions that an adapter does not save because they follow from the base model's weights. */

import { sortDeltas, type SparseDeltas } from "../deltas.ts";

/**
 * Pairs values with the weights of least or greatest magnitude, in the order of magnitudes.
 *
 * @param values The first belongs to the very least, or greatest.
 * @returns The deltas; undefined where weights of equal magnitude leave their order, or which of them are chosen, open.
 */
export function placeByMagnitude(
  weights: Float32Array,
  values: Float32Array<ArrayBuffer>,
  order: "least" | "greatest",
  where: string,
): SparseDeltas | undefined {
  const count = values.length;
  const bits = new Uint32Array(weights.buffer, weights.byteOffset, weights.length);
  // Without its sign a float orders as its bits do; position and magnitude share a word, to be sorted at once.
  const halves = new Uint32Array(2 * bits.length);
  for (let at = 0; at < bits.length; at++) {
    const magnitude = bits[at]! & 0x7fff_ffff;
    halves[2 * at + 1] = order === "least" ? magnitude : 0x7fff_ffff - magnitude;
    halves[2 * at] = at;
  }
  new BigUint64Array(halves.buffer).sort();
  const indices = new Uint32Array(count);
  for (let slot = 0; slot < count; slot++) {
    const isLast = slot + 1 === bits.length;
    if (!isLast && halves[2 * slot + 1] === halves[2 * slot + 3]) return undefined;
    indices[slot] = halves[2 * slot]!;
  }
  return sortDeltas({ indices, values }, where);
}
