/** Numbers of a few runs. */

/** The middle value; of two the greater one. `NaN` of none. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
}

/** To four digits, which is more than a measured time has. */
export function round(value: number): number {
  return Number(value.toPrecision(4));
}
