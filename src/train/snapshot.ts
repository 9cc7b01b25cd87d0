/** Reads all that training changes out of the engine for a checkpoint, and writes it back. */

import type { Engine, StateArray } from "../engine/engine.ts";
import type {
  DeltaCount,
  ModelPlan,
  Optimizer,
  StateField,
  TensorInfo,
} from "../engine/protocol.gen.ts";
import { SpielError } from "../errors.ts";
import type { SafetensorsFile } from "../io/safetensors.ts";
import type { SafetensorsTensor } from "../io/safetensors_writer.ts";
import { tensorParts } from "../model/tensor_parts.ts";

/** A linear layer with deltas. */
export interface TrainedModule extends DeltaCount {
  /** [out, in] of its weight. */
  readonly shape: readonly [number, number];
}

/** What is trained, and thus what a snapshot holds. */
export type Trained =
  | {
    readonly kind: "deltas";
    readonly modules: readonly TrainedModule[];
    readonly optimizer: Optimizer;
  }
  /** Every weight, with AdamW. */
  | { readonly kind: "weights"; readonly tensors: readonly TensorInfo[] };

/** Tensors by name, by the file that they go to. Their elements are read from the engine when they are asked for. */
export type Snapshot = Readonly<Record<string, ReadonlyMap<string, SafetensorsTensor>>>;

/** Bytes in flight between a file and the engine. */
const PART_BYTES = 16 << 20;

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
 * The whole trained state, to be read between steps, when there are no gradients, and before the next one.
 *
 * @param windowSamples Micro-batches that the open selection window has seen; 0 when there are no candidates.
 */
export function snapshotOf(engine: Engine, trained: Trained, windowSamples: number): Snapshot {
  if (trained.kind === "weights") {
    const { tensors } = trained;
    const weights = tensors.map((tensor) => {
      const parts = () => tensorParts(engine, tensor, "f32", false);
      return [tensor.name, { dtype: "F32", shape: tensor.shape, parts }] as const;
    });
    const sizes = tensors.map(({ name, shape }) => [name, () => product(shape)] as const);
    return {
      [WEIGHTS_FILE]: new Map(weights),
      [OPTIMIZER_FILE]: fieldsOf(engine, sizes, ["expAvg", "expAvgSq"]),
    };
  }
  const { modules, optimizer } = trained;
  const sizes = modules.map((module) =>
    [module.module, (field: StateField) => elementsOf(module, field)] as const
  );
  const snapshot = {
    [DELTAS_FILE]: fieldsOf(engine, sizes, DELTA_FIELDS),
    [OPTIMIZER_FILE]: fieldsOf(engine, sizes, OPTIMIZER_FIELDS[optimizer]),
  };
  if (windowSamples === 0) return snapshot;
  return { ...snapshot, [WINDOW_FILE]: fieldsOf(engine, sizes, WINDOW_FIELDS) };
}

/** Where a snapshot is read from. */
export interface SnapshotFiles {
  /** Opens one file; the caller disposes of it. */
  openGroup(name: string): SafetensorsFile;
}

/** The deltas that a snapshot holds, in the order of a plan's layers. */
export function deltasIn(
  files: SnapshotFiles,
  { tensors }: Pick<ModelPlan, "tensors">,
): DeltaCount[] {
  using deltas = files.openGroup(DELTAS_FILE);
  return tensors.flatMap(({ deltaModule: module }) => {
    const entry = module === null ? undefined : deltas.tensors.get(nameInFile(module, "indices"));
    return module === null || entry === undefined ? [] : [{ module, count: entry.shape[0] ?? 0 }];
  });
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
    for (const { name } of trained.tensors) await writeWeights(engine, weights, name);
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

/** A name in the engine, and how many elements its arrays have. */
type Sized = readonly [name: string, elements: (field: StateField) => number];

function fieldsOf(
  engine: Engine,
  sizes: readonly Sized[],
  fields: readonly StateField[],
): Map<string, SafetensorsTensor> {
  const tensors = new Map<string, SafetensorsTensor>();
  for (const [name, elements] of sizes) {
    for (const field of fields) {
      const dtype = field === "indices" || field === "candidateIndices" ? "U32" : "F32";
      const parts = () => stateParts(engine, name, field);
      tensors.set(nameInFile(name, field), { dtype, shape: [elements(field)], parts });
    }
  }
  return tensors;
}

function elementsOf({ count, shape: [rows, columns] }: TrainedModule, field: StateField): number {
  if (field === "rowAccumulator") return rows;
  return field === "columnAccumulator" ? columns : count;
}

function product(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

async function writeWeights(engine: Engine, file: SafetensorsFile, name: string): Promise<void> {
  const { byteLength } = file.entry(name);
  for (let at = 0; at < byteLength; at += PART_BYTES) {
    const bytes = file.readRange(name, at, Math.min(PART_BYTES, byteLength - at));
    await engine.writeTensor(name, at, bytes);
  }
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

/** An array of the engine in parts. */
export async function* stateParts<Part extends StateArray>(
  engine: Engine,
  name: string,
  field: StateField,
): AsyncGenerator<Part> {
  yield await engine.readState(name, field) as Part;
}
