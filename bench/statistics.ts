/** Numbers of a few runs. */

/** The middle value, or the mean of the middle two. `NaN` of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const [lower, upper] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return lower === undefined || upper === undefined ? NaN : (lower + upper) / 2;
}

/** One row for several: the medians of what all of them have numbers for, and the rest as the first one has it. */
export function middle<Row extends Readonly<Record<string, unknown>>>(
  rows: readonly Row[],
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(rows[0] ?? {}).map(([name, first]) => {
      const numbers = rows.flatMap((row) => {
        const value = row[name];
        return typeof value === "number" ? [value] : [];
      });
      return [name, numbers.length === rows.length ? median(numbers) : first];
    }),
  );
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
