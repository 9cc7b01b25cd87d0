/** What a run writes down as it goes: the lines of `metrics.jsonl`, and the evaluations that its summary compares. */

import { isSpielError } from "../errors.ts";
import type { Evaluation } from "./evaluate.ts";
import type { TrainEvent } from "./events.ts";
import { type EvalMetrics, type MetricsEvent, metricsOf, type MetricsWriter } from "./metrics.ts";

/** Who hears of what is written. */
export interface JournalHooks {
  /** Told of every event, after its line is written, and awaited. */
  readonly onEvent?: ((event: TrainEvent) => void | Promise<void>) | undefined;
  /** Told of every line that `metrics.jsonl` gets, and awaited. */
  readonly onMetrics?: ((line: MetricsEvent) => void | Promise<void>) | undefined;
}

/** The evaluations that a run is judged by, over all resumptions. */
export interface Scores {
  /** Before the first step. */
  readonly before?: Evaluation;
  /** Of what was saved. */
  readonly after?: Evaluation;
}

/** Writes a run down. */
export class Journal {
  readonly #metrics: MetricsWriter;
  readonly #hooks: JournalHooks;
  readonly #evaluations: EvalMetrics[];
  /** Whether the last line was written. */
  #writes = true;

  constructor(
    metrics: MetricsWriter,
    hooks: JournalHooks,
  ) {
    this.#metrics = metrics;
    this.#hooks = hooks;
    this.#evaluations = metrics.history.filter((line) => line.event === "eval");
  }

  /** Writes an event's line, where it has one, and passes the event on. */
  async record(event: TrainEvent): Promise<void> {
    const line = metricsOf(event);
    if (line !== null) await this.write(line);
    await this.#hooks.onEvent?.(event);
  }

  /**
   * Writes one line. Lines that a full disk does not take wait for the next one, with a warning at the first: training
   * goes on until a checkpoint cannot be saved either. The last line of a run must be written.
   */
  async write(line: MetricsEvent): Promise<void> {
    if (line.event === "eval") this.#evaluations.push(line);
    try {
      await this.#metrics.write(line);
      this.#writes = true;
    } catch (error) {
      if (!isSpielError(error) || error.kind !== "storage" || line.event === "done") throw error;
      const message = `${error.message}; training goes on`;
      if (this.#writes) await this.#hooks.onEvent?.({ type: "warning", message });
      this.#writes = false;
    }
    await this.#hooks.onMetrics?.(line);
  }

  /** The run's first evaluation and that of a step, as far as there are any. */
  scoresAt(saved: number): Scores {
    return scoresIn(this.#evaluations, saved);
  }
}

/** The first of a run's evaluations and that of a step, as far as there are any. */
export function scoresIn(evaluations: readonly EvalMetrics[], saved: number): Scores {
  const first = evaluations.find(({ step }) => step === 0);
  const last = evaluations.findLast(({ step }) => step === saved);
  return {
    ...(first === undefined ? {} : { before: evaluationIn(first) }),
    ...(last === undefined ? {} : { after: evaluationIn(last) }),
  };
}

function evaluationIn(
  { loss, perplexity, target_tokens: targetTokens, exact_match: exactMatch }: EvalMetrics,
): Evaluation {
  const score = exactMatch === undefined ? {} : { exactMatch };
  return { loss, perplexity, targetTokens, ...score };
}
