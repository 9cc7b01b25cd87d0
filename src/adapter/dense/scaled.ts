/** IA3: the outputs or the inputs of a module times learnt factors. */

import type { DenseChange } from "../adapter.ts";

/** A matrix whose rows (outputs) or columns (inputs) are scaled. */
export class ScaledMatrix implements DenseChange {
  readonly shape: readonly [number | null, number | null];
  /** An output holds its bias, an input is scaled before it. */
  readonly changesBias: boolean;
  readonly parameters: number;
  readonly #factors: Float32Array;

  /** @param factors One for each output or input. */
  constructor(factors: Float32Array, of: "outputs" | "inputs") {
    const count = factors.length;
    this.#factors = factors;
    this.parameters = count;
    this.changesBias = of === "outputs";
    this.shape = this.changesBias ? [count, null] : [null, count];
  }

  apply(rows: Float32Array, rowLength: number, firstRow: number): void {
    const factors = this.#factors;
    for (let at = 0; at < rows.length; at++) {
      const column = at % rowLength;
      rows[at]! *= factors[this.changesBias ? firstRow + (at - column) / rowLength : column]!;
    }
  }
}
