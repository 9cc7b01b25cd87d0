/** A curve drawn in ASCII. */

/** A value that was measured at a step. */
export interface CurvePoint {
  readonly step: number;
  readonly value: number;
}

/** The size of a drawing in characters. */
export interface CurveSize {
  readonly width: number;
  readonly height: number;
}

/** The means of the values by column, each a stretch of equally many steps; `undefined` where none was measured. */
function columnsOf(points: readonly CurvePoint[], width: number): (number | undefined)[] {
  const [first, last] = [points[0]?.step ?? 0, points.at(-1)?.step ?? 0];
  const steps = last - first + 1;
  const count = Math.min(width, steps);
  const columns = Array.from({ length: count }, () => ({ sum: 0, values: 0 }));
  for (const { step, value } of points) {
    const column = columns[Math.floor((step - first) * count / steps)];
    if (column === undefined) continue;
    column.sum += value;
    column.values++;
  }
  return columns.map(({ sum, values }) => values === 0 ? undefined : sum / values);
}

/**
 * Draws values by their steps, with the largest and smallest named at the left, and the first and last step below.
 *
 * @param points In ascending order of their steps.
 * @returns `height` lines and one below, or none for fewer than two finite values.
 */
export function drawCurve(
  points: readonly CurvePoint[],
  { width, height }: CurveSize,
): string[] {
  const finite = points.filter(({ value }) => Number.isFinite(value));
  if (finite.length < 2) return [];
  const columns = columnsOf(finite, width);
  const values = columns.filter((value) => value !== undefined);
  const [top, bottom] = [Math.max(...values), Math.min(...values)];
  const rowOf = (value: number) =>
    top === bottom ? height - 1 : Math.round((top - value) / (top - bottom) * (height - 1));
  const rows = Array.from({ length: height }, (_, row) => {
    const label = row === 0 ? top.toFixed(3) : row === height - 1 ? bottom.toFixed(3) : "";
    const line = columns.map((value) => value !== undefined && rowOf(value) === row ? "*" : " ");
    return `${label.padStart(8)} | ${line.join("")}`.trimEnd();
  });
  const [first, last] = [finite[0], finite.at(-1)].map((point) => String(point?.step));
  const gap = Math.max(3, columns.length - `${first}${last}`.length);
  return [...rows, `${" ".repeat(11)}${first}${" ".repeat(gap)}${last}`];
}
