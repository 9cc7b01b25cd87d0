/** What people see of a training run: banner, progress, events and summary. */

import {
  type BestEvaluation,
  type DataCounts,
  type Evaluation,
  formatBytes,
  type ResolvedConfig,
  type RunConfig,
  shownName,
  type TrainEvent,
  type TrainSummary,
} from "../mod.ts";
import { type CurvePoint, drawCurve } from "./chart.ts";
import { DownloadView } from "./downloading.ts";
import {
  formatAmount,
  formatCount,
  formatDuration,
  formatLoss,
  formatPerplexity,
  formatRate,
  formatShare,
} from "./format.ts";
import { showEvaluating } from "./evaluating.ts";
import { markedText } from "./marked_text.ts";
import { showProfile } from "./profile_view.ts";
import { showRecognised } from "./recognised.ts";
import { ReadingView } from "./reading.ts";
import { showTrials } from "./trials_view.ts";
import type { Ui } from "./ui.ts";

/** Seconds between two plain progress lines where there is no status line. */
const PLAIN_INTERVAL_S = 5;
const CURVE = { width: 60, height: 8 };
const SHOWN_SAMPLES = 3;
/** Evaluations that a resumed run shows of those before: the first one and the last ones. */
const SHOWN_EVALUATIONS = 5;
/** Width of what stands before a sample's text. */
const SAMPLE_MARGIN = 13;

/** The event of one type. */
export type EventOf<Type extends TrainEvent["type"]> = Extract<TrainEvent, { type: Type }>;

/** Shows the events of one run. */
export class TrainView {
  readonly #ui: Ui;
  readonly #resolved: ResolvedConfig;
  readonly #downloads: DownloadView;
  readonly #reading: ReadingView;
  readonly #losses: CurvePoint[] = [];
  #lastPlainLine = -Infinity;
  /** Held-out loss of the untrained model. */
  #untrainedLoss: number | undefined;
  #resumedAt: number | undefined;
  /** Whether the data is read, so that there will be something to save. */
  #hasData = false;
  /** Optimiser steps done. */
  #step = 0;
  /** Step of the newest checkpoint. */
  #savedStep: number | undefined;

  constructor(ui: Ui, resolved: ResolvedConfig) {
    this.#ui = ui;
    this.#downloads = new DownloadView(ui);
    this.#reading = new ReadingView(ui);
    this.#resolved = resolved;
  }

  /** Shows one event. */
  show(event: TrainEvent): void {
    switch (event.type) {
      case "opened":
        return this.#opened(event);
      case "planned":
        return this.#planned(event);
      case "downloading":
        return this.#downloads.show(event);
      case "files":
        return showRecognised(this.#ui, event.files);
      case "looking":
        return this.#reading.look(event);
      case "reading":
        return this.#reading.show(event);
      case "data":
        this.#hasData = true;
        return this.#data(event);
      case "example":
        return this.#example(event);
      case "estimated":
        return this.#estimated(event);
      case "gradients":
        return showTrials(this.#ui, event.trials);
      case "resumed":
        return this.#resumed(event);
      case "step":
        return this.#onStep(event);
      case "evaluating":
        return showEvaluating(this.#ui, event);
      case "eval":
        return this.#eval(event);
      case "reselect":
        return this.#ui.line(`step ${event.step}: moved ${formatCount(event.grown)} deltas`);
      case "checkpoint":
        this.#savedStep = event.step;
        return this.#ui.line(this.#ui.paint("dim", `step ${event.step}: saved ${event.path}`));
      case "warning":
        return this.#ui.warn(event.message);
      case "profile":
        return this.#profile(event);
      case "finished":
        return this.#ui.line(
          `the run in ${this.#resolved.config.out} is complete; there is nothing to go on with`,
        );
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
      ["model  ", shownName(config.model)],
      ["run    ", `${config.out}, learning rate ${formatRate(config.lr)} (${origins.lr})`],
    ]);
  }

  #planned({ memory, precision, parameters, trainable }: EventOf<"planned">): void {
    const share = formatShare(trainable / parameters);
    this.#ui.facts([
      ["weights", `${formatCount(parameters)}, multiplied in ${precision}`],
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
    if (event.mixture !== undefined) this.#mixture(event.mixture);
    if (event.repeated !== undefined) {
      const repeats = formatAmount(event.repeated, "example");
      this.#ui.line(`${repeats} left out that repeat others`);
    }
    const steps = formatAmount(event.totalSteps, "step");
    this.#ui.line(`${steps}; micro-batches are ${formatShare(event.filled)} full`);
  }

  #example({ where, text }: EventOf<"example">): void {
    this.#ui.line();
    this.#ui.line(this.#ui.paint("bold", `${where}, as it is trained on:`));
    this.#ui.line(markedText(this.#ui, text));
    this.#ui.line();
  }

  #estimated({ step, time }: EventOf<"estimated">): void {
    const steps = step === 0 ? "the steps" : `the steps after step ${step}`;
    const text = time === null
      ? `how long ${steps} take is not known before the model's weights are there`
      : `${steps} take about ${formatDuration(time.seconds)}, by ${measuredBy(time)}; ` +
        "evaluations and checkpoints come on top";
    this.#ui.line(text);
  }

  #mixture(sources: NonNullable<EventOf<"data">["mixture"]>): void {
    const rows = sources.map(({ name, examples, drawn }) => [
      name,
      formatCount(examples),
      formatCount(drawn),
    ]);
    this.#ui.table(["source", "examples", "drawn an epoch"], rows);
    this.#ui.line();
  }

  #resumed({ step, path, history, elapsedS }: EventOf<"resumed">): void {
    this.#resumedAt = step;
    this.#step = step;
    this.#savedStep = step;
    for (const line of history) {
      if (line.event === "step") this.#losses.push({ step: line.step, value: line.loss });
    }
    const before = formatDuration(elapsedS);
    this.#ui.line(`resumed after step ${step} from ${path}, ${before} into the run`);
    const evals = history.filter((line) => line.event === "eval");
    this.#untrainedLoss = evals.find(({ step }) => step === 0)?.loss;
    const skipped = Math.max(0, evals.length - SHOWN_EVALUATIONS);
    for (const [index, line] of evals.entries()) {
      const { exact_match: exactMatch, target_tokens: targetTokens, ...scores } = line;
      const match = exactMatch === undefined ? {} : { exactMatch };
      if (index === 1 && skipped > 0) this.#ui.line("...");
      if (index > 0 && index <= skipped) continue;
      this.#ui.line(this.#evaluated(line.step, { ...scores, ...match, targetTokens }));
    }
  }

  #onStep(event: EventOf<"step">): void {
    this.#step = event.step;
    this.#losses.push({ step: event.step, value: event.loss });
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
    if (event.step === 0) this.#untrainedLoss = event.loss;
    const best = event.isBest ? ", best so far" : "";
    this.#ui.line(`${this.#evaluated(event.step, event)}${best}`);
  }

  /** One evaluation in one line, with a word where training has made things worse. */
  #evaluated(step: number, { loss, perplexity, exactMatch }: Evaluation): string {
    const match = exactMatch === undefined ? "" : `, exact match ${formatShare(exactMatch)}`;
    const isWorse = this.#untrainedLoss !== undefined && loss > this.#untrainedLoss;
    const worse = isWorse ? this.#ui.paint("yellow", ", worse than untrained") : "";
    return `step ${step}: held-out loss ${this.#ui.paint("cyan", formatLoss(loss))}, ` +
      `perplexity ${formatPerplexity(perplexity)}${match}${worse}`;
  }

  /** What an interrupt sets off, and what a second one would. */
  get stopping(): string {
    return this.#resolved.config.dryRun || !this.#hasData
      ? "stopping; interrupt again to stop at once"
      : "stopping after this step and saving; interrupt again to stop at once, unsaved";
  }

  /** What a stop at once costs, and how the run goes on. */
  get farewell(): string {
    if (this.#resolved.config.dryRun || !this.#hasData) return "stopped: at once";
    const [step, saved] = [this.#step, this.#savedStep];
    const steps = step - (saved ?? 0);
    // Between two lines of metrics nobody tells of steps.
    if (this.#resolved.config.logEvery > 1) {
      return saved === undefined
        ? "stopped: at once; all steps are lost, as nothing was saved yet"
        : `stopped: at once; the steps since the checkpoint of step ${saved} are lost, ` +
          "and the same command with --resume goes on from there";
    }
    if (steps === 0) return "stopped: at once; nothing that was trained is lost";
    const [lost, are] = [formatAmount(steps, "step"), steps === 1 ? "is" : "are"];
    return saved === undefined
      ? `stopped: at once; ${lost} ${are} lost, as nothing was saved yet`
      : `stopped: at once; ${lost} since the checkpoint of step ${saved} ${are} lost, ` +
        "and the same command with --resume goes on from there";
  }

  #profile({ report, path, tracePath }: EventOf<"profile">): void {
    this.#ui.clearStatus();
    showProfile(this.#ui, report);
    const trace = tracePath === null ? [] : [["call by call", tracePath] as const];
    this.#ui.facts([["in full", path], ...trace]);
  }

  /** Shows how the run ended. */
  finish(summary: TrainSummary): void {
    const { step, stoppedEarly, elapsedS, output, samples } = summary;
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
    const resumed = this.#resumedAt === undefined ? "" : `, resumed after step ${this.#resumedAt}`;
    showSamples(this.#ui, samples.slice(0, SHOWN_SAMPLES));
    const steps = formatAmount(step, "step");
    this.#ui.line(
      this.#ui.paint(
        "bold",
        `done after ${steps} in ${formatDuration(elapsedS)}${resumed}${early}`,
      ),
    );
    this.#ui.facts([
      ...changes(summary, this.#resolved.config),
      ...peak(summary),
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
    const rows = { question: lastTurnOf(prompt), before, after, right: expected };
    ui.facts(
      Object.entries(rows).flatMap(([name, text]) =>
        text === undefined ? [] : [[name, endOf(text, ui.columns - SAMPLE_MARGIN)] as const]
      ),
    );
    ui.line();
  }
}

/** What was said last in a prompt, without what its chat template puts around it. */
function lastTurnOf(prompt: string): string {
  const turns = prompt.split(/<\|[^|]*\|>|<\/?s>|\[\/?INST\]/)
    .map((turn) => turn.trim().replace(/^(system|user|assistant)(\n|$)/, "").trim());
  return turns.findLast((turn) => turn !== "") ?? prompt;
}

/** The end of a text in one line: of questions that begin alike, what comes last is what differs. */
function endOf(text: string, width: number): string {
  const line = text.replaceAll(/\s+/g, " ").trim();
  return line.length <= width ? line : `...${line.slice(3 - width)}`;
}

/** Scores before and after, where there is held-out data. */
function changes(
  { before, after, best, savedStep }: TrainSummary,
  config: RunConfig,
): [string, string][] {
  if (before === undefined || after === undefined) return [];
  const worse = after.loss > before.loss ? ", worse than untrained" : "";
  const rows: [string, string][] = [
    ["held-out loss", `${formatLoss(before.loss)} -> ${formatLoss(after.loss)}${worse}`],
  ];
  if (best !== null && best.step > 0 && best.step !== savedStep) {
    rows.push(["best", `${formatLoss(best.loss)} at step ${best.step}; ${wayTo(best, config)}`]);
  }
  if (before.exactMatch !== undefined && after.exactMatch !== undefined) {
    const [from, to] = [formatShare(before.exactMatch), formatShare(after.exactMatch)];
    rows.push(["exact match", `${from} -> ${to}`]);
  }
  return rows;
}

/** How the best state can be had where it is not what was saved. */
function wayTo({ step }: BestEvaluation, { result, saveEvery }: RunConfig): string {
  // Wanted, but its checkpoint was damaged, of which a warning has told.
  if (result === "best") return "its checkpoint is lost";
  return saveEvery > 0
    ? `the same command with --resume --result best saves that of step ${step}`
    : "it was not saved; a run with --result best saves it";
}

/** The most memory that was held, where the system tells. */
function peak({ peakMemoryBytes }: TrainSummary): [string, string][] {
  return peakMemoryBytes === null ? [] : [["peak memory", formatBytes(peakMemoryBytes)]];
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

/** What an estimate is from. */
function measuredBy({ measured, isWarm }: NonNullable<EventOf<"estimated">["time"]>): string {
  if (!isWarm) return "the one micro-batch there was time for, slow as the first is";
  return measured === 1
    ? "the one micro-batch that was computed after the first"
    : `${measured} micro-batches that were computed`;
}
