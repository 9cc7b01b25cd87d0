/** Reads and tokenises data files. */
import type { DataPath } from "../io/named_file.ts";
import { BadExamples } from "./bad_examples.ts";
import { openDataFiles, type ReadingOptions } from "./data_files.ts";
import { Dataset } from "./dataset.ts";
import { ExampleEncoder } from "./example.ts";
import { type PreparationOptions, prepareFiles } from "./prepare/prepare.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** What to load. */
export interface DatasetOptions extends ReadingOptions, PreparationOptions {
  /** Data files, taken one after another. */
  paths: readonly DataPath[];
  /** The model's tokenizer. */
  tokenizer: Tokenizer;
  /** The most tokens of an example; longer ones are cut. */
  maxLength: number;
  /**
   * What to do about examples that cannot be used: "refuse" the data, "skip" them, or only "report" them, which is
   * the same but allows that none is left. Default "refuse".
   */
  bad?: "refuse" | "skip" | "report" | undefined;
}

/**
 * Loads and tokenises data, or takes what an earlier run has kept of it. Of that files are held open until the data set
 * is disposed of.
 *
 * @throws {SpielError} kind "data" naming file and line of what cannot be used, and how much there is of it; "usage"
 * for a bad format or map; "storage" or "environment" for a cache that cannot be written; "interrupted" when the
 * signal fires.
 */
export async function loadDataset(options: DatasetOptions): Promise<Dataset> {
  const { tokenizer, maxLength, map = {}, trainOn = "assistant", bad: policy = "refuse" } = options;
  const opened = await openDataFiles(options.paths, options, options);
  const encoder = new ExampleEncoder(tokenizer, trainOn);
  const prepared = await prepareFiles(opened, tokenizer, { map, maxLength, trainOn }, options);
  using held = new DisposableStack();
  held.use(prepared);
  const bad = new BadExamples();
  for (const { file: { kind, path }, shards } of prepared.files) {
    for (const shard of shards) {
      bad.addBlock(shard.bad, (line) => kind.where(path, { line }));
      encoder.noteEnds(shard.hasEnds);
    }
  }
  const dataset = new Dataset({ prepared, encoder, map, bad });
  const isRefused = policy === "refuse" ? bad.count > 0 : policy === "skip" && dataset.length === 0;
  if (isRefused) {
    throw bad.refusal(dataset.length + bad.count, "--skip-bad leaves out what cannot be used");
  }
  held.move();
  return dataset;
}
