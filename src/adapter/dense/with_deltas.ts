/** A dense change and sparse deltas of the same matrix as one change. */

import type { DenseChange } from "../adapter.ts";
import type { SparseDeltas } from "../deltas.ts";
import { firstAtLeast } from "../slots.ts";

/** The change, and the deltas added to what it makes; both in f32 before anything is rounded. */
export class ChangeWithDeltas implements DenseChange {
  readonly shape: DenseChange["shape"];
  readonly changesBias = false;
  readonly parameters: number;
  readonly #change: DenseChange;
  readonly #deltas: SparseDeltas;

  constructor(change: DenseChange, deltas: SparseDeltas) {
    this.#change = change;
    this.#deltas = deltas;
    this.shape = change.shape;
    this.parameters = change.parameters + deltas.values.length;
  }

  apply(rows: Float32Array, rowLength: number, firstRow: number): void {
    this.#change.apply(rows, rowLength, firstRow);
    const { indices, values } = this.#deltas;
    const start = firstRow * rowLength;
    for (let slot = firstAtLeast(indices, start); slot < indices.length; slot++) {
      const at = indices[slot]! - start;
      if (at >= rows.length) return;
      rows[at]! += values[slot]!;
    }
  }
}
