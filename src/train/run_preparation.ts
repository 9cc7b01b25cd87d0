/** All that a run needs before anything of it is computed or written: folder, model, engine, plan and data. */

import { baseModelOf } from "../adapter/base_model.ts";
import { loadSparseAdapter } from "../adapter/load.ts";
import { loadNewestCheckpoint } from "../checkpoint/checkpoint.ts";
import type { Engine } from "../engine/engine.ts";
import { open } from "../engine/open.ts";
import type { Files } from "../io/files.ts";
import type { HubUse } from "../hub/hub.ts";
import { localData } from "../hub/local_names.ts";
import { planModel, type PlannedModel } from "../model/load.ts";
import { localModelPath } from "../model/local_model.ts";
import { type ModelSource, openModelSource, openWithoutWeights } from "../model/source.ts";
import { type ModelTokenizer, tokenizerOf } from "../model/tokenizer.ts";
import { shortRunWarning } from "../spiel/schedule.ts";
import type { DownloadProgress } from "../hub/fetch_files.ts";
import type { TrainEvent } from "./events.ts";
import { type TrainerOptions, trainerOptions } from "./options.ts";
import type { ResolvedConfig, RunConfig } from "./run_config.ts";
import { checkData, dataCounts, dataWarnings, loadRunData, type RunData } from "./run_data.ts";
import { RunFolder } from "./run_folder.ts";
import { refuseConflicts } from "./run_identity.ts";
import { type Beginning, trainable, trainedOf, useOf } from "./run_model.ts";
import type { Trained } from "./snapshot.ts";

/** How a run reaches the world. */
export interface RunContext {
  readonly files: Files;
  readonly signal?: AbortSignal | undefined;
  /** Tells what happens. */
  readonly tell: (event: TrainEvent) => Promise<void>;
  /** Tells in a sentence of what is odd but no error. */
  readonly warn: (message: string) => Promise<void>;
  /** Closes at the end what is opened on the way. */
  readonly held: AsyncDisposableStack;
}

/** A run that can begin. */
export interface PreparedRun {
  readonly resolved: ResolvedConfig;
  /** `null` in a dry run, which leaves nothing behind. */
  readonly folder: RunFolder | null;
  readonly source: ModelSource;
  readonly tokenizer: ModelTokenizer;
  readonly engine: Engine;
  readonly beginning: Beginning;
  readonly planned: PlannedModel;
  readonly trained: Trained;
  readonly data: RunData;
  readonly options: TrainerOptions;
}

/** Prepares a run. What is quickly seen to be wrong is told before anything that takes time. */
export async function prepareRun(
  resolved: ResolvedConfig,
  context: RunContext,
): Promise<PreparedRun> {
  const { tell, held } = context;
  const use = hubUse(resolved.config, context);
  const files = await localData(resolved.config.data, use);
  const heldOut = await localData(resolved.config.evalData, use);
  checkData([...files, ...heldOut], resolved.config);
  const folder = resolved.config.dryRun ? null : await openFolder(resolved, context);
  const path = await localModelPath(resolved.config.model, use);
  const config = { ...resolved.config, data: files, evalData: heldOut, model: path };
  const source = held.use(
    config.init === "random" ? openWithoutWeights(config.model) : openModelSource(config.model),
  );
  const engine = held.use(await open(config));
  await tell({ type: "opened", info: engine.info });
  const tokenizer = tokenizerOf(source);
  const beginning = await beginningOf(config, source, folder, context);
  const planned = await planModel(engine, source, useOf(config, beginning));
  const trained = trainedOf(config, planned);
  const { memory, parameters } = planned.plan;
  await tell({ type: "planned", memory, parameters, trainable: trainable(trained, parameters) });
  const data = await readData(config, source, tokenizer, context);
  const options = trainerOptions(config, data, source.config.vocab_size);
  const tooShort = options.spiel && shortRunWarning(options.spiel.schedule);
  if (tooShort !== null) await context.warn(tooShort);
  const model = { source, tokenizer, engine, planned, trained };
  return { resolved, folder, ...model, beginning, data, options };
}

/** How names of the hub become local paths, with which everything works; what is written down of a run has the names. */
function hubUse({ offline }: RunConfig, { tell, warn, signal }: RunContext): HubUse {
  const onDownload = (progress: DownloadProgress) =>
    void tell({ type: "downloading", ...progress });
  return { offline, signal, onDownload, onWarning: warn };
}

async function openFolder(
  resolved: ResolvedConfig,
  { files, held }: RunContext,
): Promise<RunFolder> {
  const { config } = resolved;
  const folder = held.use(await RunFolder.open(files, config.out, { resume: config.resume }));
  const output = config.method === "full" ? folder.modelPath : folder.adapterPath;
  const { model, adapter = [], data, evalData } = config;
  folder.refuseInputsIn(output, [model, adapter, data, evalData].flat());
  if (config.resume) refuseConflicts(folder, resolved);
  return folder;
}

async function beginningOf(
  { resume, adapter: path }: RunConfig,
  source: ModelSource,
  folder: RunFolder | null,
  { files, warn }: RunContext,
): Promise<Beginning> {
  const checkpoint = folder !== null && resume
    ? await loadNewestCheckpoint(files, folder.path, { onWarning: warn })
    : null;
  const adapter = checkpoint === null && path !== undefined
    ? loadSparseAdapter(path, "can be trained on", baseModelOf(source))
    : null;
  return { checkpoint, adapter };
}

/** Loads the data, and tells how much there is and what is odd about it. */
async function readData(
  config: RunConfig,
  source: ModelSource,
  { tokenizer }: ModelTokenizer,
  { signal, tell, warn }: RunContext,
): Promise<RunData> {
  const data = await loadRunData(config, tokenizer, { signal, onEvent: tell });
  const { train, heldOut, stream, totalSteps } = data;
  const datasets = heldOut === null ? [train] : [train, heldOut];
  for (const warning of dataWarnings(datasets, config.maxLength, source)) await warn(warning);
  const counts = heldOut === null ? {} : { eval: dataCounts(heldOut, config.evalExamples) };
  const filled = stream.fillRate(0);
  await tell({ type: "data", ...dataCounts(train), ...counts, filled, totalSteps });
  return data;
}
