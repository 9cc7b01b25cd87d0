/** Sums of sparse deltas, and deltas of value 0 where a layout asks for more of them. */

import type { SparseDeltas } from "./deltas.ts";

/** Deltas and what they are multiplied by. */
export interface Term {
  readonly deltas: SparseDeltas;
  readonly factor: number;
}

/** A sum of deltas. */
export interface DeltaSum {
  /** At every position that a term has, unless they cancel each other there; rounded once. */
  readonly deltas: SparseDeltas;
  /** Positions that more than one term has. */
  readonly overlaps: number;
}

/** Adds up the deltas of one module. */
export function sumDeltas(terms: readonly Term[]): DeltaSum {
  const most = terms.reduce((sum, { deltas }) => sum + deltas.indices.length, 0);
  const indices = new Uint32Array(most);
  const values = new Float32Array(most);
  // Models have hundreds of millions of deltas, so nothing is allocated for one of them.
  const slots = new Uint32Array(terms.length);
  const heads = Float64Array.from(terms, ({ deltas }) => deltas.indices[0] ?? Infinity);
  let count = 0;
  let overlaps = 0;
  for (;;) {
    let index = Infinity;
    for (let term = 0; term < heads.length; term++) index = Math.min(index, heads[term]!);
    if (index === Infinity) break;
    let value = 0;
    let found = 0;
    for (let term = 0; term < heads.length; term++) {
      if (heads[term] !== index) continue;
      const { deltas, factor } = terms[term]!;
      value += factor * deltas.values[slots[term]!++]!;
      const slot = slots[term]!;
      heads[term] = slot < deltas.indices.length ? deltas.indices[slot]! : Infinity;
      found++;
    }
    if (found > 1) overlaps++;
    values[count] = value;
    indices[count] = index;
    // What rounds to 0 does nothing either.
    if (values[count] !== 0) count++;
  }
  return { deltas: { indices: indices.slice(0, count), values: values.slice(0, count) }, overlaps };
}

/** The same deltas and others of value 0, at the first free positions, `count` in all. */
export function padDeltas({ indices, values }: SparseDeltas, count: number): SparseDeltas {
  const padded = { indices: new Uint32Array(count), values: new Float32Array(count) };
  let free = count - indices.length;
  let slot = 0;
  for (let at = 0, position = 0; at < count; at++, position++) {
    const isTaken = indices[slot] === position;
    if (!isTaken && free > 0) {
      padded.indices[at] = position;
      free--;
      continue;
    }
    if (free === 0) position = indices[slot]!;
    padded.indices[at] = position;
    padded.values[at] = values[slot++]!;
  }
  return padded;
}
