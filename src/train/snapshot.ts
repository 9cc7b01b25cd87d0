/** Reads all that training changes out of the engine for a checkpoint, and writes it back. */

import type { Engine, StateArray } from "../engine/engine.ts";
import type { DeltaCount, Optimizer, StateField, TensorInfo } from "../engine/protocol.gen.ts";
import { SpielError } from "../errors.ts";
import type { SafetensorsFile } from "../io/safetensors.ts";
import type { SafetensorsTensor } from "../io/safetensors_writer.ts";

/** What is trained, and thus what a snapshot holds. */
export type Trained =
  | {
    readonly kind: "deltas";
    readonly modules: readonly DeltaCount[];
    readonly optimizer: Optimizer;
  }
  /** Every weight, with AdamW. */
  | { readonly kind: "weights"; readonly tensors: readonly TensorInfo[] };

/** Tensors by name, by the file that they go to. */
export type Snapshot = Readonly<Record<string, ReadonlyMap<string, SafetensorsTensor>>>;

const WEIGHTS_FILE = "weights.safetensors";
const DELTAS_FILE = "deltas.safetensors";
const OPTIMIZER_FILE = "optimizer.safetensors";
const WINDOW_FILE = "window.safetensors";

const DELTA_FIELDS = ["indices", "values"] as const;
const OPTIMIZER_FIELDS: Readonly<Record<Optimizer, readonly StateField[]>> = {
  adamw: ["ages", "expAvg", "expAvgSq"],
  sm3: ["rowAccumulator", "columnAccumulator"],
};
const WINDOW_FIELDS = ["candidateIndices", "candidateGrads", "candidateGradsSq"] as const;

/** Names in files, which are snake_case as in PyTorch. */
const FILE_NAMES: Readonly<Partial<Record<StateField, string>>> = {
  ages: "age",
  expAvg: "exp_avg",
  expAvgSq: "exp_avg_sq",
  rowAccumulator: "row_accumulator",
  columnAccumulator: "column_accumulator",
  candidateIndices: "candidate_indices",
  candidateGrads: "candidate_grads",
  candidateGradsSq: "candidate_grads_sq",
};

/**
 * Reads the whole trained state, between steps, when there are no gradients.
 *
 * @param windowSamples Micro-batches that the open selection window has seen; 0 when there are no candidates.
 */
export async function readSnapshot(
  engine: Engine,
  trained: Trained,
  windowSamples: number,
): Promise<Snapshot> {
  if (trained.kind === "weights") {
    const names = trained.tensors.map(({ name }) => name);
    return {
      [WEIGHTS_FILE]: await readWeights(engine, trained.tensors),
      [OPTIMIZER_FILE]: await readFields(engine, names, ["expAvg", "expAvgSq"]),
    };
  }
  const names = trained.modules.map(({ module }) => module);
  const snapshot = {
    [DELTAS_FILE]: await readFields(engine, names, DELTA_FIELDS),
    [OPTIMIZER_FILE]: await readFields(engine, names, OPTIMIZER_FIELDS[trained.optimizer]),
  };
  if (windowSamples === 0) return snapshot;
  return { ...snapshot, [WINDOW_FILE]: await readFields(engine, names, WINDOW_FIELDS) };
}

/** Where a snapshot is read from. */
export interface SnapshotFiles {
  /** Opens one file; the caller disposes of it. */
  openGroup(name: string): SafetensorsFile;
}

/** The selection window to open again. */
export interface WindowState {
  /** Whether a window was open. */
  readonly isOpen: boolean;
  /** Micro-batches that it had seen. */
  readonly samples: number;
}

/**
 * Writes a trained state into a model that has its weights and no deltas yet.
 *
 * @throws {SpielError} `data` when the files do not fit the model.
 */
export async function writeSnapshot(
  engine: Engine,
  trained: Trained,
  files: SnapshotFiles,
  window: WindowState,
): Promise<void> {
  if (trained.kind === "weights") {
    using weights = files.openGroup(WEIGHTS_FILE);
    for (const { name } of trained.tensors) await engine.writeTensor(name, 0, weights.read(name));
    const names = trained.tensors.map(({ name }) => name);
    using moments = files.openGroup(OPTIMIZER_FILE);
    await writeFields(engine, moments, names, ["expAvg", "expAvgSq"]);
    return;
  }
  const names = trained.modules.map(({ module }) => module);
  using deltas = files.openGroup(DELTAS_FILE);
  for (const { module, count } of trained.modules) {
    const indices = readArray(deltas, module, "indices") as Uint32Array;
    if (indices.length !== count) {
      throw new SpielError(
        "data",
        `${deltas.path} has ${indices.length} deltas for "${module}"; expected ${count}`,
      );
    }
    await engine.attachDeltasAt(module, indices);
  }
  await writeFields(engine, deltas, names, ["values"]);
  using moments = files.openGroup(OPTIMIZER_FILE);
  await writeFields(engine, moments, names, OPTIMIZER_FIELDS[trained.optimizer]);
  if (!window.isOpen) return;
  await engine.beginCandidates();
  if (window.samples === 0) return;
  using candidates = files.openGroup(WINDOW_FILE);
  await writeFields(engine, candidates, names, WINDOW_FIELDS);
  await engine.resumeCandidates(window.samples);
}

async function readWeights(
  engine: Engine,
  tensors: readonly TensorInfo[],
): Promise<Map<string, SafetensorsTensor>> {
  const weights = new Map<string, SafetensorsTensor>();
  for (const { name, shape } of tensors) {
    const rows = shape.length === 1 ? 1 : shape[0] ?? 0;
    const data = await engine.readTensor(name, 0, rows, "f32", false);
    weights.set(name, { dtype: "F32", shape, data });
  }
  return weights;
}

async function readFields(
  engine: Engine,
  names: readonly string[],
  fields: readonly StateField[],
): Promise<Map<string, SafetensorsTensor>> {
  const tensors = new Map<string, SafetensorsTensor>();
  for (const name of names) {
    for (const field of fields) {
      const data = await engine.readState(name, field);
      const dtype = data instanceof Uint32Array ? "U32" : "F32";
      tensors.set(nameInFile(name, field), { dtype, shape: [data.length], data });
    }
  }
  return tensors;
}

async function writeFields(
  engine: Engine,
  file: SafetensorsFile,
  names: readonly string[],
  fields: readonly StateField[],
): Promise<void> {
  for (const name of names) {
    for (const field of fields) {
      await engine.writeState(name, field, readArray(file, name, field));
    }
  }
}

function readArray(file: SafetensorsFile, name: string, field: StateField): StateArray {
  const tensor = nameInFile(name, field);
  const { buffer } = file.read(tensor);
  return file.entry(tensor).dtype === "U32" ? new Uint32Array(buffer) : new Float32Array(buffer);
}

function nameInFile(name: string, field: StateField): string {
  return `${name}.${FILE_NAMES[field] ?? field}`;
}
