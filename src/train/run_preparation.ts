/** All that a run needs before anything of it is computed or written: folder, model, engine, plan and data. */

import { baseModelOf } from "../adapter/base_model.ts";
import { loadSparseAdapter } from "../adapter/load.ts";
import { loadNewestCheckpoint } from "../checkpoint/checkpoint.ts";
import { type Opener, PreferredEngine } from "../engine/preferred.ts";
import type { Files } from "../io/files.ts";
import type { HubUse } from "../hub/hub.ts";
import { type DataPath, namedFile } from "../io/named_file.ts";
import { localData } from "../hub/local_names.ts";
import { shownName } from "../io/web_address.ts";
import { stretchesOf } from "../data/stretches.ts";
import { type MixtureSource, namedSources } from "../data/mixture.ts";
import { localModelPath } from "../model/local_model.ts";
import {
  type ModelSource,
  openModelSource,
  openModelToPlan,
  openWithoutWeights,
} from "../model/source.ts";
import { type ModelTokenizer, tokenizerOf } from "../model/tokenizer.ts";
import { shortRunWarning } from "../spiel/schedule.ts";
import type { DownloadProgress } from "../hub/fetch_files.ts";
import type { TrainEvent } from "./events.ts";
import { refuseOtherThanTaken } from "./kept_precision.ts";
import { type TrainerOptions, trainerOptions } from "./options.ts";
import { RecordedRun } from "./recorded_run.ts";
import type { ResolvedConfig, RunConfig } from "./run_config.ts";
import {
  checkData,
  dataCounts,
  dataWarnings,
  leakWarning,
  loadRunData,
  type RunData,
  type RunFiles,
} from "./run_data.ts";
import { RunFolder } from "./run_folder.ts";
import { refuseConflicts } from "./run_identity.ts";
import {
  type Beginning,
  idleBudgetWarning,
  planRun,
  type RunModel,
  trainable,
} from "./run_model.ts";

/** How a run reaches the world. */
export interface RunContext {
  readonly files: Files;
  /** What opens engines, unless a test says otherwise. */
  readonly open?: Opener | undefined;
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
  /** The run that it may go on with. */
  readonly recorded: RecordedRun;
  readonly source: ModelSource;
  /** Whether its weights can be loaded or made up; else it can only be planned. */
  readonly hasWeights: boolean;
  readonly tokenizer: ModelTokenizer;
  readonly preferred: PreferredEngine;
  readonly beginning: Beginning;
  /** As planned for the first device that could hold it. */
  readonly model: RunModel;
  readonly data: RunData;
  readonly options: TrainerOptions;
}

/** Prepares a run, or what is left of it. What is quickly seen to be wrong is told before anything that takes time. */
export async function prepareRun(
  resolved: ResolvedConfig,
  files: RunFiles,
  recorded: RecordedRun,
  context: RunContext,
): Promise<PreparedRun> {
  const { tell, held, warn, open } = context;
  const path = await localModelPath(resolved.config.model, hubUse(resolved.config, context));
  const config = { ...resolved.config, model: path };
  const { source, hasWeights } = await openSource(config, context);
  const preferred = held.use(
    await PreferredEngine.open(config, {
      onOpened: (info) => tell({ type: "opened", info }),
      onWarning: warn,
      open,
    }),
  );
  const tokenizer = tokenizerOf(source);
  const beginning = await beginningOf(config, source, recorded, context);
  const { checkpoint } = beginning;
  if (checkpoint !== null) refuseOtherThanTaken(recorded, checkpoint.state, resolved);
  const model = await preferred.attempt((engine) => planRun(engine, source, config, beginning));
  await tellPlanned(model, context);
  const idle = idleBudgetWarning(resolved);
  if (idle !== null) await warn(idle);
  const data = await readData(config, files, source, tokenizer, context);
  const options = trainerOptions(config, data, source.config.vocab_size);
  const tooShort = options.spiel && shortRunWarning(options.spiel.schedule);
  if (tooShort !== null) await warn(tooShort);
  return {
    ...{ resolved, recorded, source, hasWeights, tokenizer, preferred },
    ...{ model, beginning, data, options },
  };
}

/**
 * Downloads those of the hub.
 *
 * @throws {SpielError} `usage` for a wrong weight, besides what goes wrong on the way.
 */
export async function localFiles(config: RunConfig, context: RunContext): Promise<RunFiles> {
  const use = hubUse(config, context);
  const data: DataPath[] = [];
  const mixture: MixtureSource[] = [];
  for (const { name, weight } of namedSources(config.data)) {
    const paths = await localData([name], use);
    data.push(...paths);
    if (weight !== null) mixture.push({ name: shownName(name), files: paths.length, weight });
  }
  const evalData = await localData(config.evalData, use);
  return { data, evalData, mixture: mixture.length === 0 ? undefined : mixture };
}

/** How names of the hub become local paths, with which everything works; what is written down of a run has the names. */
function hubUse({ offline }: RunConfig, { tell, warn, signal }: RunContext): HubUse {
  const onDownload = (progress: DownloadProgress) =>
    void tell({ type: "downloading", ...progress });
  return { offline, signal, onDownload, onWarning: warn };
}

/** A dry run plans a model whose weights are yet to come; all else needs them. */
async function openSource(
  { init, model, dryRun }: RunConfig,
  { warn, held }: RunContext,
): Promise<Pick<PreparedRun, "source" | "hasWeights">> {
  if (init === "random" || !dryRun) {
    const open = init === "random" ? openWithoutWeights : openModelSource;
    return { source: held.use(open(model)), hasWeights: true };
  }
  const { source, assumption } = openModelToPlan(model);
  held.use(source);
  if (assumption !== null) await warn(assumption);
  return { source, hasWeights: assumption === null };
}

/** Tells what a planned model takes. */
export async function tellPlanned(
  { planned: { plan: { memory, parameters, precision } }, trained }: RunModel,
  { tell }: RunContext,
): Promise<void> {
  const count = trainable(trained, parameters);
  await tell({ type: "planned", memory, precision, parameters, trainable: count });
}

/** Refuses data that cannot be read; what is compressed is unpacked in the files returned. */
export async function checkFiles(
  { config }: ResolvedConfig,
  files: RunFiles,
  { tell, signal }: RunContext,
): Promise<RunFiles> {
  const onLooking = (path: string, done: number) => tell({ type: "looking", path, done });
  const { files: recognised, ...unpacked } = await checkData(files, config, { signal, onLooking });
  await tell({ type: "files", files: recognised });
  return { ...files, ...unpacked };
}

/** What a dry run would go on with; it changes nothing there, and takes any folder where it would begin anew. */
export async function lookAtFolder(
  resolved: ResolvedConfig,
  { files }: RunContext,
): Promise<RecordedRun> {
  const { out, resume } = resolved.config;
  if (!resume) return new RecordedRun(out, null);
  const recorded = await RecordedRun.look(files, out);
  refuseConflicts(recorded, resolved);
  return recorded;
}

/** Opens the folder of a run. */
export async function openFolder(
  resolved: ResolvedConfig,
  data: RunFiles,
  { files, held }: RunContext,
): Promise<RunFolder> {
  const { config } = resolved;
  const folder = held.use(await RunFolder.open(files, config.out, { resume: config.resume }));
  const output = config.method === "full" ? folder.modelPath : folder.adapterPath;
  const { model, adapter = [] } = config;
  const paths = [...data.data, ...data.evalData].map((file) => namedFile(file).path);
  folder.refuseInputsIn(output, [model, adapter, paths].flat());
  if (config.resume) refuseConflicts(folder, resolved);
  return folder;
}

async function beginningOf(
  { resume, dryRun, adapter: path }: RunConfig,
  source: ModelSource,
  recorded: RecordedRun,
  { files, warn }: RunContext,
): Promise<Beginning> {
  const checkpoint = resume
    ? await loadNewestCheckpoint(files, recorded.path, { onWarning: warn, readOnly: dryRun })
    : null;
  const adapter = checkpoint === null && path !== undefined
    ? loadSparseAdapter(path, "can be trained on", baseModelOf(source))
    : null;
  return { checkpoint, adapter };
}

/** Loads the data, and tells how much there is and what is odd about it. */
async function readData(
  config: RunConfig,
  files: RunFiles,
  source: ModelSource,
  { tokenizer }: ModelTokenizer,
  { signal, tell, warn, held }: RunContext,
): Promise<RunData> {
  const data = held.use(await loadRunData(config, files, tokenizer, { signal, onEvent: tell }));
  const { train, heldOut, stream, totalSteps } = data;
  const datasets = heldOut === null ? [train] : [train, heldOut];
  for (const warning of dataWarnings(datasets, config.maxLength, source)) await warn(warning);
  const leak = heldOut === null ? null : leakWarning(train, heldOut);
  if (leak !== null) await warn(leak);
  const counts = heldOut === null ? {} : { eval: dataCounts(heldOut, config.evalExamples) };
  const repeated = config.dedupe ? { repeated: data.repeated } : {};
  const mixture = stream.drawn === null ? {} : { mixture: stream.drawn };
  const filled = stream.fillRate(0);
  const found = { ...dataCounts(train), ...counts, ...repeated, ...mixture };
  await tell({ type: "data", ...found, filled, totalSteps });
  if (config.dryRun) {
    const text = stretchesOf(train.example(0), tokenizer);
    await tell({ type: "example", where: train.origin(0), text });
  }
  return data;
}
