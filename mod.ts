/**
 * Fine-tunes LLaMA-architecture language models with SpIEL: only a sparse set of weight differences is trained, and
 * the set moves to where the gradient asks for it.
 *
 * `trainRun` makes a whole run from a configuration. `open`, `openModelSource`, `loadModel`, `loadDataset` and `Trainer`
 * are its parts, for programs that put a run together themselves. Nothing here prints or keeps global state.
 *
 * @module
 */

export * from "./src/errors.ts";
export * from "./src/version.ts";

export * from "./src/engine/open.ts";
export type { Opener } from "./src/engine/preferred.ts";
export * from "./src/engine/engine.ts";
export type { Message as TransportMessage, Transport } from "./src/engine/transport.ts";
export type * from "./src/engine/protocol.gen.ts";
export { IGNORE } from "./src/engine/protocol.gen.ts";

export { downloadData, downloadModel, namedFilesOf } from "./src/hub/hub.ts";
export type { Downloaded, HubUse } from "./src/hub/hub.ts";
export type { DownloadProgress } from "./src/hub/fetch_files.ts";
export type { HubName, RepoKind } from "./src/hub/name.ts";
export { HUB_PREFIX, parseHubName } from "./src/hub/name.ts";
export { localData } from "./src/hub/local_names.ts";
export { downloadNamed, localModelPath } from "./src/model/local_model.ts";

export * from "./src/model/source.ts";
export * from "./src/model/load.ts";
export { formatBytes } from "./src/model/memory.ts";
export * from "./src/model/save.ts";
export { type ModelTokenizer, tokenizerOf } from "./src/model/tokenizer.ts";
export type { SpecialTokenIds } from "./src/data/special_tokens.ts";

export { checkVocabulary, loadTokenizer } from "./src/data/tokenizer.ts";
export type { EncodeOptions, Tokenizer, TokenizerParts } from "./src/data/tokenizer.ts";
export type { BytePairLists } from "./src/data/tokenizer_vocabulary.ts";
export type { TokenOffsets } from "./src/data/token_offsets.ts";
export type { Message } from "./src/data/chat_template.ts";
export {
  type DataChange,
  validateData,
  type ValidateOptions,
  type Validation,
} from "./src/data/validate.ts";
export type { BadGroup } from "./src/data/bad_examples.ts";
export type { ReadingOptions } from "./src/data/data_files.ts";
export { loadDataset } from "./src/data/load_dataset.ts";
export type { Dataset, DatasetCounts } from "./src/data/dataset.ts";
export type { DatasetOptions } from "./src/data/load_dataset.ts";
export type { PreparationOptions } from "./src/data/prepare/prepare.ts";
export type { Watch } from "./src/data/files/long_reading.ts";
export type { Question as DatasetQuestion, TokenizedExample } from "./src/data/example.ts";
export { TRAIN_ON, type TrainOn } from "./src/data/train_on.ts";
export type { FieldMap, FormatChoice } from "./src/data/formats/mod.ts";
export type { MicroBatch, PackingOptions } from "./src/data/packing.ts";
export type { MixtureSource } from "./src/data/mixture.ts";
export * from "./src/data/sampler.ts";

export * from "./src/spiel/budget.ts";
export * from "./src/spiel/schedule.ts";
export * from "./src/spiel/growth/mod.ts";

export * from "./src/train/run.ts";
export * from "./src/train/run_config.ts";
export { type DataReport, type LengthBin, reportOf } from "./src/data/data_report.ts";
export { type Stretch, stretchesOf } from "./src/data/stretches.ts";
export type { DataPath, NamedFile } from "./src/io/named_file.ts";
export { shownName } from "./src/io/web_address.ts";
export { templateNotes } from "./src/data/template_notes.ts";
export {
  checkData,
  type CheckedData,
  type DataPaths,
  learningWarnings,
} from "./src/train/run_data.ts";
export * from "./src/train/events.ts";
export type { StepTime } from "./src/train/step_time.ts";
export * from "./src/train/trainer.ts";
export * from "./src/train/profile.ts";
export type { Peaks } from "./src/train/peaks.ts";
export * from "./src/train/options.ts";
export * from "./src/train/position.ts";
export * from "./src/train/step.ts";
export * from "./src/train/lr_schedule.ts";
export type { JournalHooks, Scores } from "./src/train/journal.ts";
export type { ReportSample } from "./src/train/report.ts";
export * from "./src/train/evaluate.ts";
export * from "./src/train/evaluate_model.ts";
export * from "./src/train/inspect.ts";
export type {
  CheckpointMetrics,
  DoneMetrics,
  EvalMetrics,
  MetricsEvent,
  ReselectMetrics,
  StepMetrics,
} from "./src/train/metrics.ts";

export type { RowChange, TensorChanges } from "./src/model/tensor_changes.ts";
export * from "./src/adapter/combine.ts";
export * from "./src/adapter/open_model.ts";
export * from "./src/export/merge.ts";
export type { LossChange, SelfTest } from "./src/export/self_test.ts";
export type { TestDataOptions } from "./src/export/test_data.ts";
export { GGUF_TYPES, type GgufType } from "./src/export/gguf_types.ts";
export * from "./src/generate/generate.ts";
export * from "./src/generate/generate_text.ts";
export * from "./src/generate/sampling.ts";
export type * from "./src/io/files.ts";
export { temporaryOf } from "./src/io/publish.ts";
export { missingPermission } from "./src/io/permission.ts";
export { storageError } from "./src/io/files.ts";
