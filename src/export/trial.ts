/** Tries what was written: loads it in place of the trained model, and holds one against the other. */

import type { OpenModel } from "../adapter/open_model.ts";
import { availableMemory } from "../engine/available_memory.ts";
import type { Engine } from "../engine/engine.ts";
import { open, type OpenOptions } from "../engine/open.ts";
import type { ModelPlan, TensorInfo, WeightFormat } from "../engine/protocol.gen.ts";
import { elementsIn } from "../io/shape.ts";
import { formatInfo } from "../model/formats.ts";
import {
  inferenceUse,
  loadModel,
  memoryBudgetOf,
  type ModelUse,
  planModel,
} from "../model/load.ts";
import { refuseOverBudget } from "../model/memory.ts";
import type { SavedDtype } from "../model/save.ts";
import { type ModelSource, openModelSource } from "../model/source.ts";
import { type GgufType, storedFormat } from "./gguf_types.ts";
import {
  answersOf,
  compareAnswers,
  compareWords,
  type SelfTest,
  TESTED_TOKENS,
} from "./self_test.ts";
import { loadTestData, type TestDataOptions } from "./test_data.ts";
import { wordsOf } from "./words.ts";

/** How what will be written is tried. */
export interface TrialOptions extends OpenOptions {
  /** The GGUF file's type; absent for a Hugging Face folder. */
  readonly gguf?: GgufType | undefined;
  /** Examples to measure the loss on too. */
  readonly testData?: TestDataOptions | undefined;
  /** Most bytes that the model may take; what is free when absent, no limit when 0. */
  readonly memoryBudget?: number | undefined;
  /** Stops it. */
  readonly signal?: AbortSignal | undefined;
}

/** What can be done about too little memory. */
export const REMEDIES: readonly string[] = ["--no-self-test"];

/** Most tokens that are computed at once. */
export function trialTokens({ testData }: Pick<TrialOptions, "testData">): number {
  return Math.max(TESTED_TOKENS, testData?.maxLength ?? 0);
}

/**
 * Asks the trained model, and returns how what was written is to be tried. The engine is closed then.
 *
 * @throws {SpielError} `device` when there will be too little memory for what is written.
 */
export async function prepareTrial(
  { engine, source, plan }: OpenModel,
  options: TrialOptions,
  dtype: SavedDtype | GgufType,
): Promise<(path: string) => Promise<SelfTest>> {
  const { testData, signal } = options;
  const use = {
    ...inferenceUse(trialTokens(options)),
    memoryBudget: memoryBudgetOf(options.memoryBudget),
    remedies: REMEDIES,
  };
  const formatOf = (tensor: TensorInfo): WeightFormat =>
    options.gguf === undefined
      ? dtype
      : storedFormat(options.gguf, tensor, source.config, (one) =>
        formatInfo(engine, one, tensor.name));
  await checkMemory(engine, plan, source, use, formatOf);
  const data = testData === undefined ? null : await loadTestData(source, testData, options);
  const before = await answersOf(engine, source, data);
  return async (path: string): Promise<SelfTest> => {
    using written = openModelSource(path);
    const words = wordsOf(written);
    compareWords(before.words, words);
    // Two models at once may be more than the machine has room for.
    await engine.close();
    await using other = await open(options);
    await loadModel(other, written, use, { signal });
    const after = await answersOf(other, written, data, { words, tokens: before.tokens });
    return compareAnswers(before, after, dtype);
  };
}

/** Plans the model that will be written, in the place of the one that is loaded. */
async function checkMemory(
  engine: Engine,
  { memory, tensors }: ModelPlan,
  { config }: ModelSource,
  use: ModelUse,
  formatOf: (tensor: TensorInfo) => WeightFormat,
): Promise<void> {
  const written = tensors.map((tensor) => {
    const format = formatOf(tensor);
    const { blockElements, blockBytes } = formatInfo(engine, format, tensor.name);
    const byteLength = elementsIn(tensor.shape) / blockElements * blockBytes;
    return [tensor.name, { format, shape: tensor.shape, byteLength }] as const;
  });
  const planned = { config, tensors: new Map(written) };
  const { plan } = await planModel(engine, planned, { ...use, memoryBudget: null });
  const isGiven = use.memoryBudget !== "free";
  const free = availableMemory(engine.info);
  const room = free === null ? null : free + memory.totalBytes;
  const budget = isGiven ? use.memoryBudget : room;
  refuseOverBudget(plan.memory, { budget, isGiven, remedies: use.remedies });
}
