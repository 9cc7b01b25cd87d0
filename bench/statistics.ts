/** Numbers of a few runs. */

/** The middle value, or the mean of the middle two. `NaN` of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const [lower, upper] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return lower === undefined || upper === undefined ? NaN : (lower + upper) / 2;
}

/** The largest of the values that are known; `null` where none is. */
export function largest(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : Math.max(...known);
}

/** To four digits, which is more than a measured time has. */
export function round(value: number): number {
  return Number(value.toPrecision(4));
}
