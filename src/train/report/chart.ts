/** One chart as inline SVG; colours come from the page's style by class. */

import { type Markup, markup } from "./markup.ts";
import { formatNumber, type Point, thin, ticks } from "./numbers.ts";

/** A curve. */
export interface Series {
  name: string;
  /** Style class: `faint` is left out of the legend, `dots` marks each point. */
  look: "train" | "faint" | "dots";
  points: readonly Point[];
}

/** A vertical line at a step, with a text that shows on hovering. */
export interface Marker {
  x: number;
  label: string;
}

/** What a chart shows. */
export interface ChartOptions {
  title: string;
  /** What it shows and how it is read, for who sees it for the first time. */
  hint: string;
  series: readonly Series[];
  /** Drawn behind the curves; explained in the legend by `markerName`. */
  markers?: readonly Marker[];
  markerName?: string;
  /** Size in units of the drawing, which scales to the page. */
  width: number;
  height: number;
  /** Last step on the x axis, the same for all charts of a page. */
  lastStep: number;
  /** True where 0 belongs to the axis, as for a speed. */
  fromZero?: boolean;
}

/** More points than a screen has columns would only make the file larger. */
export const MAX_POINTS = 500;

/** A line needs more points than these; fewer stand alone, with their values. */
const MIN_POINTS_OF_LINE = 3;

const MARGIN = { top: 10, right: 14, bottom: 26 };
// Width of a digit and the gaps around a label, at the 12 units of the style.
const DIGIT = 7;
const LABEL_GAPS = 12;

/** Draws the chart, or a sentence where there is nothing to draw. */
export function renderChart(options: ChartOptions): Markup {
  const { title, width, height, lastStep } = options;
  const hint = markup`<p class="hint">${options.hint}</p>`;
  const series = options.series
    .map((one) => ({ ...one, points: one.points.filter(({ y }) => Number.isFinite(y)) }))
    .filter(({ points }) => points.length > 0);
  if (series.length === 0) {
    const empty = markup`<p class="empty">Nothing recorded.</p>`;
    return markup`<figure><figcaption>${title}</figcaption>${hint}${empty}</figure>\n`;
  }
  const all = series.flatMap(({ points }) => points.map(({ y }) => y));
  const low = all.reduce((a, b) => Math.min(a, b), options.fromZero ? 0 : Infinity);
  const high = all.reduce((a, b) => Math.max(a, b), -Infinity);
  const yTicks = ticks(low, high, 5);
  const xTicks = ticks(0, lastStep, 8).filter((x) => x <= lastStep && Number.isInteger(x));
  const [bottom, top] = [yTicks[0]!, yTicks.at(-1)!];
  const left = LABEL_GAPS + DIGIT * Math.max(...yTicks.map((tick) => formatNumber(tick).length));
  const x = (step: number) =>
    round(left + step / Math.max(1, lastStep) * (width - left - MARGIN.right));
  const y = (value: number) =>
    round(MARGIN.top + (top - value) / (top - bottom) * (height - MARGIN.top - MARGIN.bottom));
  const floor = height - MARGIN.bottom;

  const right = width - MARGIN.right;
  const grid = yTicks.map((tick) => {
    const line = markup`<line class="grid" x1="${left}" x2="${right}" y1="${y(tick)}"`;
    const text = markup`<text class="y" x="${left - 8}" y="${y(tick) + 4}">`;
    return markup`${line} y2="${y(tick)}"/>${text}${formatNumber(tick)}</text>\n`;
  });
  const steps = xTicks.map((tick) => {
    const label = tick.toLocaleString("en-US");
    return markup`<text class="x" x="${x(tick)}" y="${height - 8}">${label}</text>\n`;
  });
  const markers = (options.markers ?? []).map(({ x: step, label }) => {
    const line = markup`<line class="marker" x1="${x(step)}" x2="${x(step)}" y1="${MARGIN.top}"`;
    return markup`${line} y2="${floor}"><title>${label}</title></line>\n`;
  });
  const dots = ({ points, name, look }: Series) =>
    points.map((point) => {
      const label = `${name} ${formatNumber(point.y)} at step ${point.x}`;
      const circle = markup`<circle class="${look}" cx="${x(point.x)}" cy="${y(point.y)}" r="3.5">`;
      return markup`${circle}<title>${label}</title></circle>\n`;
    });
  const values = ({ points }: Series) =>
    points.map((point) => {
      // Beside its dot, on the side where there is room.
      const isRight = x(point.x) > width / 2;
      const at = markup`x="${x(point.x) + (isRight ? -8 : 8)}" y="${y(point.y) - 6}"`;
      const end = isRight ? "end" : "start";
      return markup`<text class="value ${end}" ${at}>${formatNumber(point.y)}</text>\n`;
    });
  const curves = series.map((one) => {
    if (one.points.length < MIN_POINTS_OF_LINE) return [dots(one), values(one)];
    const path = thin(one.points, MAX_POINTS).map((point) => `${x(point.x)},${y(point.y)}`);
    const line = markup`<polyline class="${one.look}" points="${path.join(" ")}"/>\n`;
    return [line, one.look === "dots" ? dots(one) : null];
  });
  return markup`<figure>
<figcaption>${title}${legend(series, options)}</figcaption>
${hint}
<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${title} by step">
${grid}${steps}${markers}
<line class="axis" x1="${left}" x2="${right}" y1="${floor}" y2="${floor}"/>
${curves}</svg>
</figure>
`;
}

function legend(series: readonly Series[], { markers, markerName }: ChartOptions): Markup | null {
  const named = series.filter(({ look }) => look !== "faint");
  const keys = named.map(({ look, name }) => markup`<span class="key ${look}">${name}</span>`);
  if (markerName && markers?.length) {
    keys.push(markup`<span class="key marker">${markerName}</span>`);
  }
  return keys.length < 2 ? null : markup`<span class="legend">${keys}</span>`;
}

/** Tenths of a unit are below what a screen shows. */
function round(value: number): number {
  return Math.round(value * 10) / 10;
}
