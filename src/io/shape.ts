/** Arithmetic of tensor shapes. */

/** The number of elements; that of a scalar, whose shape is empty, is 1. */
export function elementsIn(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
