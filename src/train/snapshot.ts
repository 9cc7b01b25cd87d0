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
import { elementsIn } from "../io/shape.ts";
import { PART_BYTES, tensorParts } from "../model/tensor_parts.ts";

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

/** Of every element of a state array. */
const ELEMENT_BYTES = 4;

const WEIGHTS_FILE = "weights.safetensors";
const DELTAS_FILE = "deltas.safetensors";
const OPTIMIZER_FILE = "optimizer.safetensors";
const WINDOW_FILE = "window.safetensors";

const DELTA_FIELDS = ["indices", "values"] as const;
const OPTIMIZER_FIELDS: Readonly<Record<Optimizer, readonly StateField[]>> = {
  adamw: ["ages", "expAvg", "expAvgSq"],
  sm3: ["rowAccumulator", "columnAccumulator"],
};
const WEIGHT_MOMENTS = ["expAvg", "expAvgSq"] as const;
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
    return {
      [WEIGHTS_FILE]: new Map(weights),
      [OPTIMIZER_FILE]: fieldsOf(engine, sizesOf(trained), WEIGHT_MOMENTS),
    };
  }
  const { optimizer } = trained;
  const sizes = sizesOf(trained);
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
  const sizes = sizesOf(trained);
  if (trained.kind === "weights") {
    using weights = files.openGroup(WEIGHTS_FILE);
    for (const { name } of trained.tensors) await writeWeights(engine, weights, name);
    using moments = files.openGroup(OPTIMIZER_FILE);
    await writeFields(engine, moments, sizes, WEIGHT_MOMENTS);
    return;
  }
  using deltas = files.openGroup(DELTAS_FILE);
  for (const { module, count } of trained.modules) {
    // Positions make the deltas, so they come at once; all other arrays follow in parts.
    const tensor = nameInFile(module, "indices");
    refuseOtherLength(deltas, tensor, count);
    await engine.attachDeltasAt(module, new Uint32Array(deltas.read(tensor).buffer));
  }
  await writeFields(engine, deltas, sizes, ["values"]);
  using moments = files.openGroup(OPTIMIZER_FILE);
  await writeFields(engine, moments, sizes, OPTIMIZER_FIELDS[trained.optimizer]);
  if (!window.isOpen) return;
  await engine.beginCandidates();
  if (window.samples === 0) return;
  using candidates = files.openGroup(WINDOW_FILE);
  await writeFields(engine, candidates, sizes, WINDOW_FIELDS);
  await engine.resumeCandidates(window.samples);
}

/** A name in the engine, and how many elements its arrays have. */
type Sized = readonly [name: string, elements: (field: StateField) => number];

function sizesOf(trained: Trained): Sized[] {
  if (trained.kind === "weights") {
    return trained.tensors.map(({ name, shape }) => [name, () => elementsIn(shape)]);
  }
  return trained.modules.map((module) => [module.module, (field) => elementsOf(module, field)]);
}

function fieldsOf(
  engine: Engine,
  sizes: readonly Sized[],
  fields: readonly StateField[],
): Map<string, SafetensorsTensor> {
  const tensors = new Map<string, SafetensorsTensor>();
  for (const [name, elements] of sizes) {
    for (const field of fields) {
      const dtype = field === "indices" || field === "candidateIndices" ? "U32" : "F32";
      const count = elements(field);
      const parts = () => stateParts(engine, name, field, count);
      tensors.set(nameInFile(name, field), { dtype, shape: [count], parts });
    }
  }
  return tensors;
}

function elementsOf({ count, shape: [rows, columns] }: TrainedModule, field: StateField): number {
  if (field === "rowAccumulator") return rows;
  return field === "columnAccumulator" ? columns : count;
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
  sizes: readonly Sized[],
  fields: readonly StateField[],
): Promise<void> {
  for (const [name, elements] of sizes) {
    for (const field of fields) {
      const tensor = nameInFile(name, field);
      refuseOtherLength(file, tensor, elements(field));
      const { dtype, byteLength } = file.entry(tensor);
      for (let at = 0; at < byteLength; at += PART_BYTES) {
        const { buffer } = file.readRange(tensor, at, Math.min(PART_BYTES, byteLength - at));
        const part = dtype === "U32" ? new Uint32Array(buffer) : new Float32Array(buffer);
        await engine.writeState(name, field, part, at / ELEMENT_BYTES);
      }
    }
  }
}

/** A shorter array would leave the rest of the engine's as it is. */
function refuseOtherLength(file: SafetensorsFile, tensor: string, expected: number): void {
  const { shape } = file.entry(tensor);
  if (shape.length === 1 && shape[0] === expected) return;
  throw new SpielError(
    "data",
    `${file.path} has "${tensor}" of shape [${shape}]; expected [${expected}]`,
  );
}

function nameInFile(name: string, field: StateField): string {
  return `${name}.${FILE_NAMES[field] ?? field}`;
}

/** An array of the engine in parts, of at most `PART_BYTES` each. */
export async function* stateParts<Part extends StateArray>(
  engine: Engine,
  name: string,
  field: StateField,
  elements: number,
): AsyncGenerator<Part> {
  const most = PART_BYTES / ELEMENT_BYTES;
  for (let offset = 0; offset < elements; offset += most) {
    const count = Math.min(most, elements - offset);
    yield await engine.readState(name, field, { offset, count }) as Part;
  }
}
