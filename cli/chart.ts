/** A curve drawn in ASCII. */

/** Means of `width` equal stretches of the values, or the values themselves where they are fewer. */
function thin(values: readonly number[], width: number): number[] {
  if (values.length <= width) return [...values];
  return Array.from({ length: width }, (_, column) => {
    const from = Math.floor(column * values.length / width);
    const to = Math.floor((column + 1) * values.length / width);
    const stretch = values.slice(from, to);
    return stretch.reduce((sum, value) => sum + value, 0) / stretch.length;
  });
}

/**
 * Draws values from left to right with the largest and smallest named at the left.
 *
 * @returns `height` lines, or none for fewer than two finite values.
 */
export function drawCurve(
  values: readonly number[],
  { width, height }: { width: number; height: number },
): string[] {
  const points = thin(values.filter(Number.isFinite), width);
  if (points.length < 2) return [];
  const top = Math.max(...points);
  const bottom = Math.min(...points);
  const rowOf = (value: number) =>
    top === bottom ? height - 1 : Math.round((top - value) / (top - bottom) * (height - 1));
  return Array.from({ length: height }, (_, row) => {
    const label = row === 0 ? top.toFixed(3) : row === height - 1 ? bottom.toFixed(3) : "";
    const line = points.map((value) => rowOf(value) === row ? "*" : " ").join("");
    return `${label.padStart(8)} | ${line}`.trimEnd();
  });
}
