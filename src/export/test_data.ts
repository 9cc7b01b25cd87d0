/** Examples on which a self-test measures what saving costs in loss. */

import type { ReadingOptions } from "../data/data_files.ts";
import { loadDataset } from "../data/load_dataset.ts";
import { SequentialMicroBatches } from "../data/sampler.ts";
import type { ModelSource } from "../model/source.ts";
import { tokenizerOf } from "../model/tokenizer.ts";
import type { TestData } from "./self_test.ts";

/** Which examples. */
export interface TestDataOptions extends Readonly<ReadingOptions> {
  /** JSON Lines files. */
  readonly paths: readonly string[];
  /** Longest example in tokens; longer ones are cut. */
  readonly maxLength: number;
  /** Most examples, the first ones; all when absent. */
  readonly examples?: number | undefined;
}

/**
 * Loads the examples as the model's tokenizer reads them.
 *
 * @throws {SpielError} `data` for bad files, `interrupted` when the signal fires.
 */
export async function loadTestData(
  source: ModelSource,
  { paths, maxLength, examples, format, map }: TestDataOptions,
  { signal }: { signal?: AbortSignal | undefined },
): Promise<TestData> {
  const { tokenizer } = tokenizerOf(source);
  // Released when it is loaded: it is read twice, by files that are then opened for that alone.
  using dataset = await loadDataset({ paths, tokenizer, maxLength, format, map, signal });
  return {
    batches: new SequentialMicroBatches(dataset, { microBatchTokens: maxLength }, examples),
  };
}
