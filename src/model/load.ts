/** Puts a model into the engine: plans its memory, allocates it, and streams its weights in bounded chunks. */

import { availableMemory } from "../engine/available_memory.ts";
import type { Engine } from "../engine/engine.ts";
import { withRemedies } from "../engine/failure.ts";
import { BUILD_REMEDY } from "../engine/native_library.ts";
import type {
  DeltaCount,
  ModelConfig,
  ModelOptions,
  ModelPlan,
  Precision,
  WeightFormat,
} from "../engine/protocol.gen.ts";
import { SpielError } from "../errors.ts";
import { formatInfo, isQuantized } from "./formats.ts";
import { eitherOf, refuseOverBudget } from "./memory.ts";
import type { ModelSource, ModelTensor } from "./source.ts";
import type { TensorChanges } from "./tensor_changes.ts";
import { WeightStream } from "./weight_stream.ts";

/** The formats that a model can be quantised to while it is loaded. */
export const QUANTIZED_FORMATS = ["nf4", "q8_0", "q4_0"] as const satisfies WeightFormat[];

/** A format that a model can be quantised to while it is loaded. */
export type QuantizedFormat = typeof QUANTIZED_FORMATS[number];

/** What a model will be used for. */
export interface ModelUse
  extends Omit<ModelOptions, "formats" | "deltas" | "memoryBudget" | "precision"> {
  /** What products by weights round to; `"auto"` is bf16 where that is faster and no matrix is stored in f32, else f32. */
  readonly precision: Precision | "auto";
  /** Most bytes that the plan may take; `null` is no limit, `"free"` what this machine has free. */
  readonly memoryBudget: number | null | "free";
  /** What the user can do where that is too little, in words. */
  readonly remedies: readonly string[];
  /** The deltas of each module, once the model's parts are known. */
  readonly deltas: (plan: ModelPlan) => DeltaCount[];
  /** How the layers' matrices are stored that the source has in 16 or 32 bits; as they are when absent. */
  readonly quantize?: QuantizedFormat | undefined;
  /** Changes of whole tensors, made while they are loaded. */
  readonly changes?: TensorChanges | undefined;
}

/** Use for evaluation and generation with the deltas given. */
export function inferenceUse(microBatchTokens: number, deltas: DeltaCount[] = []): ModelUse {
  return {
    trainable: "nothing",
    deltas: () => deltas,
    candidates: false,
    optimizer: "adamw",
    microBatchTokens,
    activationCheckpointing: "none",
    precision: "f32",
    memoryBudget: null,
    remedies: ["a smaller model"],
  };
}

/** A budget as configurations have it: 0 is no limit, and an absent one what is free. */
export function memoryBudgetOf(bytes: number | undefined): ModelUse["memoryBudget"] {
  return bytes === 0 ? null : bytes ?? "free";
}

/** A model's plan and what it was made with. */
export interface PlannedModel {
  /** Bytes by purpose, and the tensors. */
  readonly plan: ModelPlan;
  /** What the engine is to be asked for. */
  readonly options: ModelOptions;
  /** Changes of whole tensors to make. */
  readonly changes?: TensorChanges | undefined;
}

/**
 * Plans a model without allocating anything.
 *
 * @throws {SpielError} `device` when the plan exceeds its memory budget; `usage` when the deltas do not fit or
 *   rows are not whole blocks of the format to quantise to.
 */
export async function planModel(
  engine: Engine,
  source: Pick<ModelSource, "config" | "tensors">,
  use: ModelUse,
): Promise<PlannedModel> {
  const { deltas, remedies, changes, quantize: _, ...rest } = use;
  const formats = formatsOf(engine, source, use);
  const precision = use.precision === "auto" ? null : use.precision;
  const chosen = { formats, deltas: [], memoryBudget: null, precision };
  const withoutBudget: ModelOptions = { ...rest, ...chosen };
  const bare = await planOrAdvise(engine, source.config, withoutBudget, remedies);
  const whole = { ...withoutBudget, deltas: deltas(bare) };
  const plan = await planOrAdvise(engine, source.config, whole, remedies);
  const isGiven = use.memoryBudget !== "free";
  const memoryBudget = isGiven ? use.memoryBudget : availableMemory(engine.info);
  refuseOverBudget(plan.memory, { budget: memoryBudget, isGiven, remedies });
  return { plan, options: { ...whole, memoryBudget }, changes };
}

/** A plan; where it exceeds what the addresses of WASM reach, the refusal says what helps. */
async function planOrAdvise(
  engine: Engine,
  config: ModelConfig,
  options: ModelOptions,
  remedies: readonly string[],
): Promise<ModelPlan> {
  try {
    return await engine.planModel(config, options);
  } catch (error) {
    if (engine.info.host !== "wasm") throw error;
    throw withRemedies(error, eitherOf([...remedies, `the native engine (${BUILD_REMEDY})`]));
  }
}

/** Random weights instead of the source's own. */
export interface RandomInit {
  /** Seed of the draws. */
  readonly seed: number;
  /** Standard deviation of matrices and embeddings. */
  readonly std: number;
}

/** How weights are filled. */
export interface CreateModelOptions {
  /** Random weights; else the source's own. */
  readonly init?: RandomInit | null;
  /** Stops the loading before the next tensor. */
  readonly signal?: AbortSignal | undefined;
}

/** Allocates a planned model and fills its weights. Its deltas are not attached yet. */
export async function createModel(
  engine: Engine,
  source: ModelSource,
  { options, changes }: PlannedModel,
  { init = null, signal }: CreateModelOptions = {},
): Promise<ModelPlan> {
  const plan = await engine.createModel(source.config, options);
  if (init !== null) {
    await engine.initTensors(init.seed, init.std);
    return plan;
  }
  const stream = new WeightStream(engine, source, changes);
  for (const tensor of plan.tensors) {
    if (signal?.aborted) throw new SpielError("interrupted", "Stopped while loading the model");
    await stream.send(tensor);
  }
  await stream.end();
  return plan;
}

/**
 * Plans and creates a model in one go.
 *
 * @example
 * ```ts
 * import { inferenceUse, loadModel, open, openModelSource } from "./mod.ts";
 *
 * await using engine = await open();
 * using source = openModelSource("models/base");
 * const plan = await loadModel(engine, source, inferenceUse(1024));
 * ```
 */
export async function loadModel(
  engine: Engine,
  source: ModelSource,
  use: ModelUse,
  options: CreateModelOptions = {},
): Promise<ModelPlan> {
  return await createModel(engine, source, await planModel(engine, source, use), options);
}

/** Sparse deltas by module: sorted, unique flat indices and their values. */
export type DeltaArrays = ReadonlyMap<
  string,
  { readonly indices: Uint32Array; readonly values: Float32Array }
>;

/** The count of each module's deltas, in the order of the layers. */
export function countDeltas(plan: ModelPlan, deltas: DeltaArrays, where: string): DeltaCount[] {
  const counts = plan.tensors.flatMap(({ deltaModule, shape: [out = 1, inputs = 1] }) => {
    const found = deltaModule === null ? undefined : deltas.get(deltaModule);
    if (deltaModule === null || found === undefined) return [];
    const last = found.indices.at(-1) ?? 0;
    if (last < out * inputs) return [{ module: deltaModule, count: found.indices.length }];
    throw new SpielError(
      "data",
      `${where} has a delta at position ${last} of "${deltaModule}", ` +
        `but the model's has shape [${out}, ${inputs}], ${out * inputs} weights`,
    );
  });
  const known = new Set(counts.map(({ module }) => module));
  const unknown = [...deltas.keys()].find((module) => !known.has(module));
  if (unknown === undefined) return counts;
  throw new SpielError("data", `${where} has deltas for "${unknown}", which the model lacks`);
}

/** Attaches deltas and writes their values. */
export async function attachDeltas(engine: Engine, deltas: DeltaArrays): Promise<void> {
  for (const [module, { indices, values }] of deltas) {
    await engine.attachDeltasAt(module, indices);
    await engine.writeState(module, "values", Float32Array.from(values));
  }
}

/** How matrices are held; all are f32 where every weight is trained, and vectors always are. */
function formatsOf(
  engine: Engine,
  { tensors }: Pick<ModelSource, "tensors">,
  { trainable, changes, quantize }: ModelUse,
): ModelOptions["formats"] {
  for (const [name, { format }] of tensors) formatInfo(engine, format, name);
  if (trainable === "weights") return [];
  checkQuantizable(tensors, quantize);
  return [...tensors].flatMap(([name, { format: stored, shape }]) => {
    if (shape.length === 1) return [];
    const quantized = isQuantizable(name, stored) ? quantize : undefined;
    const format = changes?.of.has(name) ? changes.format : quantized ?? stored;
    if (format === quantized) checkRows(engine, format, tensors, name);
    return format === "f32" ? [] : [{ name, format }];
  });
}

/** Whether `quantize` is for this matrix: those of the layers, as in bitsandbytes, unless they are blocks already. */
function isQuantizable(name: string, stored: WeightFormat): boolean {
  return name.startsWith("model.layers.") && !isQuantized(stored);
}

/** Whether a model has layers that `quantize` is for. */
export function canBeQuantized({ tensors }: Pick<ModelSource, "tensors">): boolean {
  return layersOf(tensors).some(([name, { format }]) => isQuantizable(name, format));
}

function layersOf(tensors: ModelSource["tensors"]) {
  return [...tensors].filter(([name, { shape }]) =>
    name.startsWith("model.layers.") && shape.length === 2
  );
}

function checkQuantizable(tensors: ModelSource["tensors"], quantize: QuantizedFormat | undefined) {
  if (quantize === undefined || canBeQuantized({ tensors })) return;
  const matrices = layersOf(tensors);
  const stored = new Set(matrices.map(([, { format }]) => format));
  throw new SpielError(
    "usage",
    `--quantize ${quantize} is for layers in 16 or 32 bits; ` +
      `those of this model are ${[...stored].join(" and ")} already`,
  );
}

/** Refuses a matrix whose rows are no whole blocks, and names a format that would do for all of them. */
function checkRows(
  engine: Engine,
  format: WeightFormat,
  tensors: ModelSource["tensors"],
  name: string,
) {
  const fits = (to: WeightFormat, [tensor, { shape: [, columns = 0] }]: TensorEntry) =>
    columns % formatInfo(engine, to, tensor).blockElements === 0;
  const entry: TensorEntry = [name, tensors.get(name)!];
  if (fits(format, entry)) return;
  const all = layersOf(tensors).filter(([name, { format }]) => isQuantizable(name, format));
  const other = QUANTIZED_FORMATS.find((to) => all.every((one) => fits(to, one)));
  throw new SpielError(
    "usage",
    `--quantize ${format} needs rows of a multiple of ` +
      `${formatInfo(engine, format, name).blockElements} weights; ` +
      `"${name}" has rows of ${entry[1].shape[1]}` +
      (other === undefined ? "" : `, which --quantize ${other} takes`),
  );
}

type TensorEntry = readonly [name: string, tensor: ModelTensor];
