/** Numbers as people read them, and the axes and curves made of them. */

/** A point of a curve. */
export interface Point {
  x: number;
  y: number;
}

/** About four significant digits, with powers of ten only for the very small and large. */
export function formatNumber(value: number): string {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-4 || size >= 1e9) return value.toExponential(2).replace(/\.?0+e/, "e");
  if (size >= 1e3) return Math.round(value).toLocaleString("en-US");
  return String(Number(value.toPrecision(4)));
}

/** Such as "1 h 05 min", "2 min 07 s" or "8.4 s". */
export function formatDuration(seconds: number): string {
  // Rounding to tenths would show anything above as 60.
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const pad = (value: number) => String(value).padStart(2, "0");
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${pad(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${pad(Math.floor(whole / 60) % 60)} min`;
}

/** Round values that cover the range from `low` to `high`, about `count` of them. */
export function ticks(low: number, high: number, count: number): number[] {
  const span = high - low || Math.abs(high) || 1;
  const power = 10 ** Math.floor(Math.log10(span / count));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((s) => span / s <= count)!;
  const first = Math.floor(low / step + 1e-9);
  const last = Math.max(Math.ceil(high / step - 1e-9), first + 1);
  return Array.from(
    { length: last - first + 1 },
    (_, index) => Number(((first + index) * step).toPrecision(12)),
  );
}

/** At most `limit` points: means of equal stretches, so that no curve outgrows its width. */
export function thin(points: readonly Point[], limit: number): Point[] {
  if (points.length <= limit) return [...points];
  return Array.from({ length: limit }, (_, index) => {
    const from = Math.floor(index * points.length / limit);
    const stretch = points.slice(from, Math.floor((index + 1) * points.length / limit));
    const mean = (of: (point: Point) => number) =>
      stretch.reduce((sum, point) => sum + of(point), 0) / stretch.length;
    return { x: mean(({ x }) => x), y: mean(({ y }) => y) };
  });
}

/**
 * Centred moving average over a tenth of the curve. The stretch shrinks to a third towards both ends,
 * so that the trend does not lag behind the curve there, nor follow its last point alone.
 */
export function smooth(points: readonly Point[]): Point[] {
  const reach = Math.floor(points.length / 20);
  return points.map(({ x }, index) => {
    const toEnd = Math.min(index, points.length - 1 - index);
    const radius = Math.min(reach, Math.max(toEnd, Math.ceil(reach / 3)));
    const stretch = points.slice(Math.max(0, index - radius), index + radius + 1);
    return { x, y: stretch.reduce((sum, { y }) => sum + y, 0) / stretch.length };
  });
}

/** The middle value, or NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle]!;
  return (sorted[middle - 1]! + sorted[middle]!) / 2;
}
