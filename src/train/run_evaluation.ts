/** The evaluation of a run, and the answers that its report shows. */

import { SequentialMicroBatches } from "../data/sampler.ts";
import type { Engine } from "../engine/engine.ts";
import type { ModelTokenizer } from "../model/tokenizer.ts";
import { evaluate, type Evaluation, type EvaluationHooks, type Exam } from "./evaluate.ts";
import type { ReportSample } from "./report.ts";
import type { RunConfig } from "./run_config.ts";
import { examOf, type RunData } from "./run_data.ts";

/** Answers that the report shows. */
const REPORT_SAMPLES = 6;

/** The first answers: those of the untrained model beside those of the last evaluation, and of the best one. */
export class Samples {
  readonly #answers = new Map<string, ReportSample>();
  #best: readonly ReportSample[] = [];

  /** @param fromStart Whether the untrained model is yet to be evaluated; a resumed run has its answers behind it. */
  constructor(private readonly fromStart: boolean) {}

  readonly add = (question: { text: string; answer: string }, answer: string): void => {
    const { text: prompt, answer: expected } = question;
    const known = this.#answers.get(prompt);
    if (known === undefined && this.#answers.size >= REPORT_SAMPLES) return;
    const before = this.fromStart ? { before: known?.before ?? answer } : {};
    this.#answers.set(prompt, { prompt, expected, ...before, after: answer });
  };

  /** The evaluation that has just ended is the best so far. */
  keepAsBest(): void {
    this.#best = this.ofLast;
  }

  get ofLast(): readonly ReportSample[] {
    return [...this.#answers.values()];
  }

  /** None where the best evaluation was made before the run was resumed. */
  get ofBest(): readonly ReportSample[] {
    return this.#best;
  }
}

/** The evaluation of a run's held-out data; `null` where there is none. */
export async function evaluationOf(
  engine: Engine,
  config: RunConfig,
  { heldOut }: RunData,
  { tokenizer, stopTokens, maxLength }: ModelTokenizer & Pick<Exam, "maxLength">,
  samples: Samples,
  onProgress: EvaluationHooks["onProgress"],
): Promise<((signal?: AbortSignal) => Promise<Evaluation | null>) | null> {
  if (heldOut === null) return null;
  const batches = new SequentialMicroBatches(heldOut, config, config.evalExamples);
  const exam = await examOf(heldOut, tokenizer, {
    count: config.evalGenerate,
    maxNewTokens: config.evalMaxNewTokens,
    maxLength,
    stopTokens,
    onAnswer: samples.add,
  });
  return (signal) => evaluate(engine, batches, exam, { signal, onProgress });
}
