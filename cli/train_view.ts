/** What people see of a training run: banner, progress, events and summary. */

import {
  type DataCounts,
  formatBytes,
  type ResolvedConfig,
  type TrainEvent,
  type TrainSummary,
} from "../mod.ts";
import { drawCurve } from "./chart.ts";
import {
  formatAmount,
  formatCount,
  formatDuration,
  formatLoss,
  formatRate,
  formatShare,
} from "./format.ts";
import { showEvaluating } from "./evaluating.ts";
import { showProfile } from "./profile_view.ts";
import type { Ui } from "./ui.ts";

/** Seconds between two plain progress lines where there is no status line. */
const PLAIN_INTERVAL_S = 5;
const CURVE = { width: 60, height: 8 };
const SHOWN_SAMPLES = 3;
/** Width of what stands before a sample's text. */
const SAMPLE_MARGIN = 13;

/** The event of one type. */
export type EventOf<Type extends TrainEvent["type"]> = Extract<TrainEvent, { type: Type }>;

/** Shows the events of one run. */
export class TrainView {
  readonly #ui: Ui;
  readonly #resolved: ResolvedConfig;
  readonly #losses: number[] = [];
  readonly #begun = performance.now();
  #lastPlainLine = -Infinity;

  constructor(ui: Ui, resolved: ResolvedConfig) {
    this.#ui = ui;
    this.#resolved = resolved;
  }

  /** Shows one event. */
  show(event: TrainEvent): void {
    switch (event.type) {
      case "opened":
        return this.#opened(event);
      case "planned":
        return this.#planned(event);
      case "reading":
        return this.#ui.status(`reading the ${event.data} data: ${formatCount(event.examples)}`);
      case "data":
        return this.#data(event);
      case "resumed":
        return this.#ui.line(`resumed after step ${event.step} from ${event.path}`);
      case "step":
        return this.#step(event);
      case "evaluating":
        return showEvaluating(this.#ui, event);
      case "eval":
        return this.#eval(event);
      case "reselect":
        return this.#ui.line(`step ${event.step}: moved ${formatCount(event.grown)} deltas`);
      case "checkpoint":
        return this.#ui.line(this.#ui.paint("dim", `step ${event.step}: saved ${event.path}`));
      case "warning":
        return this.#ui.warn(event.message);
      case "profile":
        return this.#profile(event);
      case "done":
        return this.#ui.clearStatus();
    }
  }

  #opened({ info }: EventOf<"opened">): void {
    const { config, origins } = this.#resolved;
    const threads = formatAmount(info.threads, "thread");
    this.#ui.line(this.#ui.paint("bold", `spiel ${info.version}`));
    this.#ui.facts([
      ["host   ", `${info.host} (${info.reason})`],
      ["device ", `${info.device}: ${info.adapter}, ${threads} (${info.deviceReason})`],
      ["model  ", config.model],
      ["run    ", `${config.out}, learning rate ${formatRate(config.lr)} (${origins.lr})`],
    ]);
  }

  #planned({ memory, parameters, trainable }: EventOf<"planned">): void {
    const share = formatShare(trainable / parameters);
    this.#ui.facts([
      ["weights", formatCount(parameters)],
      ["trained", `${formatCount(trainable)} (${share}) by ${this.#resolved.config.method}`],
    ]);
    this.#ui.line();
    const rows = memory.rows.map(({ purpose, bytes }) => [purpose, formatBytes(bytes)]);
    this.#ui.table(["memory", "size"], [...rows, ["total", formatBytes(memory.totalBytes)]]);
    this.#ui.line();
  }

  #data(event: EventOf<"data">): void {
    const row = (name: string, counts: DataCounts) => [
      name,
      ...[counts.examples, counts.tokens, counts.targetTokens, counts.truncated].map(formatCount),
    ];
    const heldOut = event.eval === undefined ? [] : [row("held-out", event.eval)];
    this.#ui.clearStatus();
    this.#ui.table(["data", "examples", "tokens", "trained on", "cut"], [
      row("train", event),
      ...heldOut,
    ]);
    this.#ui.line();
    const steps = formatAmount(event.totalSteps, "step");
    this.#ui.line(`${steps}; micro-batches are ${formatShare(event.filled)} full`);
  }

  #step(event: EventOf<"step">): void {
    this.#losses.push(event.loss);
    const text = progressLine(event);
    this.#ui.status(text);
    const due = event.elapsedS - this.#lastPlainLine >= PLAIN_INTERVAL_S ||
      event.step === event.totalSteps;
    if (this.#ui.interactive || !due) return;
    this.#lastPlainLine = event.elapsedS;
    this.#ui.line(text);
  }

  #eval(event: EventOf<"eval">): void {
    this.#ui.clearStatus();
    const match = event.exactMatch === undefined
      ? ""
      : `, exact match ${formatShare(event.exactMatch)}`;
    this.#ui.line(
      `step ${event.step}: held-out loss ${this.#ui.paint("cyan", formatLoss(event.loss))}, ` +
        `perplexity ${event.perplexity.toFixed(2)}${match}${event.isBest ? ", best so far" : ""}`,
    );
  }

  #profile({ report, path }: EventOf<"profile">): void {
    this.#ui.clearStatus();
    showProfile(this.#ui, report);
    this.#ui.facts([["by shape", path]]);
  }

  /** Shows how the run ended. */
  finish({ step, stoppedEarly, output, before, after, samples }: TrainSummary): void {
    this.#ui.clearStatus();
    if (output === undefined) return this.#ui.line("dry run: nothing was trained");
    this.#ui.line();
    const curve = drawCurve(this.#losses, CURVE);
    if (curve.length > 0) {
      this.#ui.line("training loss by step");
      for (const line of curve) this.#ui.line(line);
      this.#ui.line();
    }
    const early = stoppedEarly ? ", early: the held-out loss no longer falls" : "";
    const elapsed = formatDuration((performance.now() - this.#begun) / 1000);
    showSamples(this.#ui, samples.slice(0, SHOWN_SAMPLES));
    const steps = formatAmount(step, "step");
    this.#ui.line(this.#ui.paint("bold", `done after ${steps} in ${elapsed}${early}`));
    this.#ui.facts([
      ...changes(before, after),
      ["saved", output],
      ["report", `${this.#resolved.config.out}/report.html`],
    ]);
  }
}

/** The answers to some held-out questions. */
function showSamples(ui: Ui, samples: TrainSummary["samples"]): void {
  if (samples.length === 0) return;
  ui.line("answers to the first held-out questions");
  for (const { prompt, expected, before, after } of samples) {
    const rows = { question: prompt, before, after, right: expected };
    ui.facts(
      Object.entries(rows).flatMap(([name, text]) =>
        text === undefined ? [] : [[name, endOf(text, ui.columns - SAMPLE_MARGIN)] as const]
      ),
    );
    ui.line();
  }
}

/** The end of a text in one line: of a prompt, what comes last is what differs. */
function endOf(text: string, width: number): string {
  const line = text.replaceAll(/<\|[^|]*\|>/g, " ").replaceAll(/\s+/g, " ").trim();
  return line.length <= width ? line : `...${line.slice(3 - width)}`;
}

/** Scores before and after, where there is held-out data. */
function changes(
  before: TrainSummary["before"],
  after: TrainSummary["after"],
): [string, string][] {
  if (before === undefined || after === undefined) return [];
  const rows: [string, string][] = [
    ["held-out loss", `${formatLoss(before.loss)} -> ${formatLoss(after.loss)}`],
  ];
  if (before.exactMatch !== undefined && after.exactMatch !== undefined) {
    const [from, to] = [formatShare(before.exactMatch), formatShare(after.exactMatch)];
    rows.push(["exact match", `${from} -> ${to}`]);
  }
  return rows;
}

/** One step in one line. */
export function progressLine(event: EventOf<"step">): string {
  const { nextReselection } = event;
  return [
    `step ${event.step}/${event.totalSteps}`,
    `loss ${formatLoss(event.loss)}`,
    `lr ${formatRate(event.lr)}`,
    `${formatCount(event.tokensPerSecond)} tok/s`,
    `ETA ${formatDuration(event.etaSeconds)}`,
    ...(nextReselection === undefined ? [] : [`reselects in ${nextReselection}`]),
  ].join("  ");
}
