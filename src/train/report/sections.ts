/** The sections of the report, from the events of a run to markup. */

import { formatBytes } from "../../model/memory.ts";
import type { EvalMetrics, MetricsEvent } from "../metrics.ts";
import { worseThanUntrained } from "../outcome.ts";
import type { ConfigValue } from "../recorded_run.ts";
import { MAX_POINTS, renderChart, type Series } from "./chart.ts";
import { type Markup, markup } from "./markup.ts";
import { formatDuration, formatNumber, median, type Point, smooth, thin } from "./numbers.ts";

/** A prompt with what the model answered. */
export interface ReportSample {
  /** The question in words. */
  prompt: string;
  /** The right answer, where there is one. */
  expected?: string;
  /** The untrained model's answer; absent in a resumed run, which does not ask it again. */
  before?: string;
  /** The answer at the last evaluation. */
  after: string;
}

/** Below this many steps a smoothed curve tells nothing that the plain one does not. */
const MIN_STEPS_TO_SMOOTH = 40;

/** How chat templates and tokenizers mark what is no text. */
const SPECIAL_TOKENS = /(<\|[^|\s]{1,40}\|>|<\/?s>|\[\/?INST\])/;

/**
 * One sentence on how the run stands.
 *
 * @param failure Why it broke down, where it did.
 */
export function statusOf(metrics: readonly MetricsEvent[], failure?: string): string {
  const steps = lastStep(metrics);
  const done = metrics.find((event) => event.event === "done");
  const count = `${steps.toLocaleString("en-US")} ${steps === 1 ? "step" : "steps"}`;
  if (failure !== undefined) return `Failed after ${count}: ${failure}.`;
  if (!done) return `Stopped after ${count}; the run can be resumed.`;
  const early = done.stopped_early ? ", stopped early because evaluations no longer improved" : "";
  return `Complete after ${count} in ${formatDuration(done.elapsed_s)}${early}.`;
}

/** A sentence for a result that is worse than what training began with; null for others. */
export function verdict(metrics: readonly MetricsEvent[]): Markup | null {
  const done = metrics.find((event) => event.event === "done");
  const { first, last } = endsOf(metrics);
  if (done === undefined || first === undefined || last === undefined) return null;
  const { best_step: step, best_loss: loss } = done;
  const best = typeof step === "number" && typeof loss === "number" ? { step, loss } : null;
  const [before, after] = [first, last].map(({ loss, exact_match: exactMatch }) => ({
    loss,
    exactMatch,
  }));
  const sentence = worseThanUntrained(before, after, best);
  return sentence === null ? null : markup`<p class="verdict">${sentence}.</p>`;
}

/** The evaluations before training and of what was saved, or the last one where nothing is yet. */
function endsOf(metrics: readonly MetricsEvent[]) {
  const evals = metrics.filter((event) => event.event === "eval");
  const done = metrics.find((event) => event.event === "done");
  const saved = evals.findLast(({ step }) => step === done?.saved_step);
  return { first: evals[0], last: saved ?? evals.at(-1) };
}

/** The few numbers that matter most. */
export function tiles(metrics: readonly MetricsEvent[]): Markup {
  const steps = metrics.filter((event) => event.event === "step");
  const ends = endsOf(metrics);
  const done = metrics.find((event) => event.event === "done");
  const total = (of: "tokens" | "target_tokens") => steps.reduce((sum, step) => sum + step[of], 0);
  const list: (Markup | null)[] = [
    change({
      label: "Exact match",
      note: "held-out questions answered exactly",
      ends,
      of: ({ exact_match }) => exact_match,
      format: percent,
      better: 1,
    }),
    change({
      label: "Held-out loss",
      note: "on examples that are not trained on; lower is better",
      ends,
      of: ({ loss }) => loss,
      format: (value) => value.toFixed(3),
      better: -1,
    }),
    change({
      label: "Perplexity",
      note: "tokens that the model wavers between: e to the held-out loss",
      ends,
      of: ({ perplexity }) => perplexity,
      format: (value) => value < 1e3 ? value.toFixed(2) : formatNumber(value),
      better: -1,
    }),
  ];
  if (steps.length > 0) {
    const last = steps.at(-1)!;
    const speed = median(steps.map((step) => step.tokens_per_second).filter(Number.isFinite));
    list.push(
      tile("Training loss", formatNumber(last.loss), `at step ${last.step}`),
      tile("Speed", `${formatNumber(speed)} tok/s`, "tokens a second, median of all steps"),
      tile(
        "Tokens",
        total("tokens").toLocaleString("en-US"),
        `${total("target_tokens").toLocaleString("en-US")} trained on`,
      ),
    );
  }
  if (typeof done?.peak_memory_bytes === "number") {
    list.push(tile("Peak memory", formatBytes(done.peak_memory_bytes), "of the whole process"));
  }
  return markup`<dl class="tiles">${list}</dl>`;
}

/** Loss, learning rate, gradient norm and speed by step. */
export function charts(metrics: readonly MetricsEvent[]): Markup {
  const steps = metrics.filter((event) => event.event === "step");
  const evals = metrics.filter((event) => event.event === "eval");
  const markers = metrics.filter((event) => event.event === "reselect").map((event) => ({
    x: event.step,
    label: `Reselection after step ${event.step}: ${event.grown.toLocaleString("en-US")} deltas ` +
      `replaced (rate ${percent(event.rate)})`,
  }));
  const curve = (of: (step: typeof steps[number]) => number) =>
    steps.map((step) => ({ x: step.step, y: of(step) })).filter(({ y }) => Number.isFinite(y));
  const common = { lastStep: lastStep(metrics) };
  const small = { ...common, width: 340, height: 210, fromZero: true };
  const held = evals.map(({ step, loss }) => ({ x: step, y: loss }));
  const drawn = [
    renderChart({
      ...common,
      title: "Loss",
      hint: "How far the predictions are from the text, in nats per trained token; lower is " +
        "better. Training: each step's own batch. Held-out: examples that are never trained on; " +
        "where it rises while training falls, the model learns by heart. Reselection: deltas " +
        "move to new positions and begin at zero, so the loss may rise for a moment.",
      width: 1040,
      height: 340,
      series: [
        ...withTrend("training", curve(({ loss }) => loss)),
        { name: "held-out", look: "dots", points: held },
      ],
      markers,
      markerName: "reselection",
    }),
    renderChart({
      ...small,
      title: "Learning rate",
      hint: "The size of the updates: it rises in the warm-up and then follows its schedule.",
      series: [{ name: "learning rate", look: "train", points: curve(({ lr }) => lr) }],
    }),
    renderChart({
      ...small,
      title: "Gradient norm",
      hint: "How strongly a batch pulls, before clipping. Single spikes are normal; steady " +
        "growth means that the learning rate is too high.",
      series: withTrend("gradient norm", curve(({ grad_norm }) => grad_norm)),
      markers,
    }),
    renderChart({
      ...small,
      title: "Tokens per second",
      hint: "The speed of the steps, without evaluations and saves.",
      series: withTrend("tokens per second", curve((step) => step.tokens_per_second)),
    }),
  ];
  return markup`<div class="charts">\n${drawn}</div>`;
}

/** Prompts with the answers before and after training. */
export function samples(list: readonly ReportSample[]): Markup | null {
  if (list.length === 0) return null;
  const answer = (label: string, text: string) =>
    markup`<div><h3>${label}</h3><pre>${dimSpecial(text)}</pre></div>`;
  const panels = list.map(({ prompt, expected, before, after }) => {
    const answers = before === undefined ? [] : [answer("Before", before)];
    answers.push(answer("After", after));
    if (expected !== undefined) answers.push(answer("Expected", expected));
    return markup`<div class="panel sample">
<pre class="prompt">${dimSpecial(prompt)}</pre>
<div class="answers">${answers}</div>
</div>
`;
  });
  return markup`<h2>Samples</h2>
<p class="lead">The first held-out questions, and how the model answers them.</p>
${panels}`;
}

/** A text whose special tokens stand back, so that they are not read as words. */
function dimSpecial(text: string): Markup[] {
  // Splitting by a group puts every match at an odd place.
  return text.split(SPECIAL_TOKENS).map((part, index) =>
    index % 2 === 1 ? markup`<span class="special">${part}</span>` : markup`${part}`
  );
}

/** Where the result lies, and what made it. */
export function facts(
  metrics: readonly MetricsEvent[],
  given: Readonly<Record<string, string>>,
): Markup {
  const done = metrics.find((event) => event.event === "done");
  const checkpoint = metrics.findLast((event) => event.event === "checkpoint");
  const rows: [string, string][] = Object.entries(given);
  if (checkpoint) rows.unshift(["Last checkpoint", checkpoint.path]);
  if (done?.output) rows.unshift(["Result", done.output]);
  const cells = rows.map(([label, value]) =>
    markup`<tr><th>${label}</th><td><code>${value}</code></td></tr>\n`
  );
  return markup`<div class="panel"><table class="facts">\n${cells}</table></div>`;
}

/** Values that someone chose, then the defaults folded away. */
export function configuration(config: Readonly<Record<string, ConfigValue>>): Markup {
  const entries = Object.entries(config);
  const chosen = entries.filter(([, { origin }]) => origin !== "default");
  const defaults = entries.filter(([, { origin }]) => origin === "default");
  const summary = markup`<summary>Left at their defaults: ${defaults.length}</summary>`;
  return markup`${chosen.length > 0 ? configTable(chosen) : null}
${defaults.length > 0 ? markup`<details>${summary}${configTable(defaults)}</details>` : null}`;
}

function configTable(entries: readonly [string, ConfigValue][]): Markup {
  const rows = entries.map(([key, { value, origin }]) => {
    const text = typeof value === "string" ? value : JSON.stringify(value) ?? "null";
    const cells = [markup`<td><code>${key}</code></td>`, markup`<td><code>${text}</code></td>`];
    return markup`<tr>${cells}<td class="origin">${origin}</td></tr>\n`;
  });
  return markup`<div class="panel"><table>
<tr><th>Key</th><th>Value</th><th>Origin</th></tr>
${rows}</table></div>`;
}

function tile(label: string, value: TileValue, note?: string): Markup {
  const small = note ? markup`<small>${note}</small>` : null;
  return markup`<div class="tile"><dt>${label}</dt><dd>${value}${small}</dd></div>\n`;
}

type TileValue = string | Markup;

/** A score before and after training. */
interface Change {
  label: string;
  note: string;
  ends: ReturnType<typeof endsOf>;
  of: (event: EvalMetrics) => number | undefined;
  format: (value: number) => string;
  /** 1 where more is better, else -1. */
  better: 1 | -1;
}

/** A tile with a score before and after. */
function change({ label, note, ends, of, format, better }: Change): Markup | null {
  const [first, last] = [ends.first, ends.last].map((event) => event && of(event));
  if (typeof first !== "number" || typeof last !== "number") return null;
  if (ends.first === ends.last) return tile(label, format(first), note);
  const gain = Math.sign(last - first) * better;
  const look = gain > 0 ? "good" : gain < 0 ? "bad" : "same";
  const was = markup`<span class="was">${format(first)}</span> <span class="arrow">→</span> `;
  return tile(
    label,
    markup`${was}<span class="${look}">${format(last)}</span>`,
    `before → after; ${note}`,
  );
}

/** A noisy curve, faint behind its trend; alone where it is short. */
function withTrend(name: string, points: readonly Point[]): Series[] {
  if (points.length < MIN_STEPS_TO_SMOOTH) return [{ name, look: "train", points }];
  return [
    { name, look: "faint", points },
    { name, look: "train", points: smooth(thin(points, MAX_POINTS)) },
  ];
}

function lastStep(metrics: readonly MetricsEvent[]): number {
  return metrics.reduce((last, { step }) => Math.max(last, step), 0);
}

function percent(share: number): string {
  return `${Number((share * 100).toFixed(1))} %`;
}
