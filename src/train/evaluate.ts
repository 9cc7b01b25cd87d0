/** Measures a model on held-out data: loss over all targets, and answers that it generates. */

import type { Engine } from "../engine/engine.ts";
import { SpielError } from "../errors.ts";
import { generateTokens } from "../generate/generate.ts";
import type { TrainingBatch } from "./step.ts";

/** What an evaluation finds. */
export interface Evaluation {
  /** Mean cross-entropy per target, in nats. */
  readonly loss: number;
  /** e to the loss. */
  readonly perplexity: number;
  /** Share of the questions answered exactly, 0 to 1; absent where none were asked. */
  readonly exactMatch?: number;
  /** Targets that the loss is the mean of. */
  readonly targetTokens: number;
}

/** A prompt and the answer that counts as right. */
export interface Question {
  /** The prompt in words. */
  readonly text: string;
  /** Token ids up to where the answer begins. */
  readonly prompt: Uint32Array;
  /** White space around it does not count. */
  readonly answer: string;
}

/** Questions to answer by generating, greedily. */
export interface Exam {
  /** What to ask. */
  readonly questions: readonly Question[];
  /** Longest answer in tokens. */
  readonly maxNewTokens: number;
  /** Most tokens of a question and its answer together: what the model was made for. */
  readonly maxLength: number;
  /** Ids that end an answer. */
  readonly stopTokens: readonly number[];
  /** Turns generated ids into text, without special tokens. */
  readonly decode: (ids: readonly number[]) => string;
  /** Told of each answer. */
  readonly onAnswer?: ((question: Question, answer: string) => void) | undefined;
}

/** Micro-batches to measure the loss on. */
export interface HeldOutBatches extends Iterable<TrainingBatch> {
  /** Sequences of all of them. */
  readonly examples: number;
}

/** How far an evaluation has come. */
export interface EvaluationProgress {
  /** `loss` counts examples; `answers`, which follows where there is an exam, counts questions. */
  readonly stage: "loss" | "answers";
  /** Done so far; 0 when the stage begins. */
  readonly done: number;
  /** To do in this stage. */
  readonly total: number;
}

/** What an evaluation can be stopped by, and whom it tells. */
export interface EvaluationHooks {
  /** Cuts it short. */
  readonly signal?: AbortSignal | undefined;
  /** Told when a stage begins and after each piece of it, and awaited. */
  readonly onProgress?: ((progress: EvaluationProgress) => void | Promise<void>) | undefined;
}

/**
 * Evaluates held-out micro-batches, then the exam if there is one.
 *
 * @returns `null` when the signal cut it short.
 * @throws {SpielError} `numeric` when a loss is not finite.
 */
export async function evaluate(
  engine: Engine,
  batches: HeldOutBatches,
  exam: Exam | null = null,
  hooks: EvaluationHooks = {},
): Promise<Evaluation | null> {
  const { signal, onProgress } = hooks;
  const { examples } = batches;
  let done = 0;
  let total = 0;
  let targetTokens = 0;
  await onProgress?.({ stage: "loss", done, total: examples });
  for (const batch of batches) {
    if (signal?.aborted) return null;
    const { loss } = await engine.forward(batch);
    if (loss.sum === null) {
      const origin = batch.origins?.[0];
      const where = origin === undefined ? "" : ` (near ${origin})`;
      throw new SpielError("numeric", `The loss of the held-out data is not finite${where}`);
    }
    total += loss.sum;
    targetTokens += loss.targetTokens;
    done += batch.cuSeqlens.length - 1;
    await onProgress?.({ stage: "loss", done, total: examples });
  }
  const score = exam === null ? {} : { exactMatch: await sitExam(engine, exam, hooks) };
  if (signal?.aborted) return null;
  const loss = total / targetTokens;
  return { loss, perplexity: Math.exp(loss), targetTokens, ...score };
}

async function sitExam(
  engine: Engine,
  exam: Exam,
  { signal, onProgress }: EvaluationHooks,
): Promise<number> {
  const { questions, stopTokens } = exam;
  const total = questions.length;
  let right = 0;
  await onProgress?.({ stage: "answers", done: 0, total });
  for (const [index, question] of questions.entries()) {
    const ids: number[] = [];
    const { prompt } = question;
    const maxNewTokens = Math.max(0, Math.min(exam.maxNewTokens, exam.maxLength - prompt.length));
    const options = { maxNewTokens, stopTokens, temperature: 0, topP: 1, seed: 0 };
    for await (const id of generateTokens(engine, prompt, options, signal)) ids.push(id);
    if (signal?.aborted) break;
    const answer = exam.decode(ids);
    exam.onAnswer?.(question, answer);
    if (answer.trim() === question.answer.trim()) right++;
    await onProgress?.({ stage: "answers", done: index + 1, total });
  }
  return right / total;
}
