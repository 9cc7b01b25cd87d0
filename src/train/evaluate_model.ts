/** Measures a model on disk, with or without an adapter, on examples. */

import { type OpenModelOptions, openSource } from "../adapter/open_model.ts";
import { loadDataset } from "../data/load_dataset.ts";
import { SequentialMicroBatches } from "../data/sampler.ts";
import type { ReadingOptions } from "../data/data_files.ts";
import { SpielError } from "../errors.ts";
import { localData } from "../hub/local_names.ts";
import { localModelPath } from "../model/local_model.ts";
import { openModelSource } from "../model/source.ts";
import { tokenizerOf } from "../model/tokenizer.ts";
import { evaluate, type Evaluation, type EvaluationHooks, type Exam } from "./evaluate.ts";
import { checkData, dataWarnings, examOf } from "./run_data.ts";

/** What to measure, and on what. */
export interface EvaluateModelOptions extends OpenModelOptions, Readonly<ReadingOptions> {
  /** Files of examples, or data sets of the hub as `hf:org/name[@revision][:split]`. */
  readonly data: readonly string[];
  /** Leaves out examples that cannot be used, with a warning, instead of refusing the data. */
  readonly skipBad?: boolean | undefined;
  /** Longest example in tokens; longer ones are cut. */
  readonly maxLength: number;
  /** Most tokens computed at once; at least `maxLength`, which stands in when absent. */
  readonly microBatchTokens?: number | undefined;
  /** Most examples, the first ones; all when absent. */
  readonly evalExamples?: number | undefined;
  /** Examples to answer by generating; none when absent. */
  readonly evalGenerate?: number | undefined;
  /** Longest generated answer in tokens; 128 when absent. */
  readonly evalMaxNewTokens?: number | undefined;
  /** Told of each generated answer. */
  readonly onAnswer?: Exam["onAnswer"];
  /** Told how far the evaluation has come, and awaited. */
  readonly onProgress?: EvaluationHooks["onProgress"];
}

/** What a model scores. */
export interface ModelEvaluation extends Evaluation {
  /** Examples that were measured. */
  readonly examples: number;
}

/**
 * Measures loss and perplexity over the trained tokens of the examples, and exact match where answers are generated.
 *
 * @throws {SpielError} `data` for bad files, `interrupted` when the signal fires.
 *
 * @example
 * ```ts
 * import { evaluateModel } from "./mod.ts";
 *
 * const { loss } = await evaluateModel({ model: "models/base", data: ["held_out.jsonl"], maxLength: 512 });
 * ```
 */
export async function evaluateModel(options: EvaluateModelOptions): Promise<ModelEvaluation> {
  const { maxLength, signal, onAnswer, onProgress } = options;
  const paths = await localData(options.data, options);
  const { data } = await checkData({ data: paths }, options, { signal });
  const microBatchTokens = Math.max(options.microBatchTokens ?? maxLength, maxLength);
  using source = openModelSource(await localModelPath(options.model, options));
  // A bad tokenizer is told before any weight is read.
  const { tokenizer, stopTokens } = tokenizerOf(source);
  await using model = await openSource(source, options, {
    microBatchTokens,
    remedies: ["a smaller --micro-batch-tokens"],
  });
  const { format, map, trainOn } = options;
  const bad = options.skipBad ? "skip" : "refuse";
  const reading = { maxLength, format, map, trainOn, bad } as const;
  using dataset = await loadDataset({ paths: data, tokenizer, ...reading, signal });
  for (const warning of dataWarnings([dataset], maxLength, source)) {
    await options.onWarning?.(warning);
  }
  const examples = Math.min(options.evalExamples ?? dataset.length, dataset.length);
  const exam = await examOf(dataset, tokenizer, {
    count: options.evalGenerate ?? 0,
    maxNewTokens: options.evalMaxNewTokens ?? 128,
    maxLength: source.config.max_position_embeddings,
    stopTokens,
    onAnswer,
  });
  const batches = new SequentialMicroBatches(dataset, { microBatchTokens }, examples);
  const evaluation = await evaluate(model.engine, batches, exam, { signal, onProgress });
  if (evaluation !== null) return { examples, ...evaluation };
  throw new SpielError("interrupted", "Stopped before the evaluation was complete");
}
