/** LoRA and DoRA: a product of two narrow matrices, added to a matrix, whose rows may then get learnt lengths. */

import type { DenseChange } from "../adapter.ts";

/** The numbers of one module. */
export interface LowRankFactors {
  /** A, [rank, in]. */
  readonly down: Float32Array;
  /** B, [out, rank]. */
  readonly up: Float32Array;
  readonly rank: number;
  /** What B A is multiplied by. */
  readonly scale: number;
  /** DoRA: [out], the lengths that rows have in the end. */
  readonly magnitude?: Float32Array | undefined;
}

/** W + scale * B A, with its rows brought to the lengths of `magnitude` where there are any. */
export class LowRankChange implements DenseChange {
  readonly shape: readonly [number, number];
  readonly changesBias = false;
  readonly parameters: number;
  readonly #factors: LowRankFactors;

  constructor(factors: LowRankFactors) {
    const { down, up, rank, magnitude } = factors;
    this.#factors = factors;
    this.shape = [up.length / rank, down.length / rank];
    this.parameters = down.length + up.length + (magnitude?.length ?? 0);
  }

  apply(rows: Float32Array, rowLength: number, firstRow: number): void {
    const { magnitude } = this.#factors;
    const row = new Float64Array(rowLength);
    for (let at = 0; at < rows.length; at += rowLength) {
      const number = firstRow + at / rowLength;
      const weights = rows.subarray(at, at + rowLength);
      row.set(weights);
      this.#addProduct(row, number);
      const length = magnitude?.[number];
      if (length !== undefined) scaleTo(row, length);
      weights.set(row);
    }
  }

  /** Adds a row of scale * B A. */
  #addProduct(row: Float64Array, number: number): void {
    const { down, up, rank, scale } = this.#factors;
    for (let inner = 0; inner < rank; inner++) {
      const factor = scale * up[number * rank + inner]!;
      const start = inner * row.length;
      for (let column = 0; column < row.length; column++) {
        row[column]! += factor * down[start + column]!;
      }
    }
  }
}

/** A row of zeros stays one: it has no direction to be long in. */
function scaleTo(row: Float64Array, length: number): void {
  let squares = 0;
  for (const value of row) squares += value * value;
  if (squares === 0) return;
  const factor = length / Math.sqrt(squares);
  for (let column = 0; column < row.length; column++) row[column]! *= factor;
}
