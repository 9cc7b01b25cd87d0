/** Whether an adapter fits a model, and whether that is the model that its deltas were trained on. */

import type { DeltaCount, ModelPlan, TensorInfo } from "../engine/protocol.gen.ts";
import { SpielError } from "../errors.ts";
import { architectureOf } from "../model/architectures/mod.ts";
import { countDeltas } from "../model/load.ts";
import type { ModelSource } from "../model/source.ts";
import type { TensorChanges } from "../model/tensor_changes.ts";
import type { Adapter, BaseModel, DenseChange, ModulePart } from "./adapter.ts";
import { decodeValues } from "./deltas.ts";

/** Formats whose elements are numbers by themselves. */
const DTYPES = ["F32", "F16", "BF16"];

/** Module name → [out, in] of every linear layer, as an adapter records them. */
export function baseShapes(tensors: readonly TensorInfo[]): Record<string, [number, number]> {
  return Object.fromEntries(
    tensors.flatMap(({ deltaModule, shape: [out = 1, inputs = 1] }) =>
      deltaModule === null ? [] : [[deltaModule, [out, inputs]] as const]
    ),
  );
}

/**
 * The count of each module's deltas, in the order of the layers, where they fit the model. An adapter that records no
 * shapes of its base is only known not to fit where a module is missing or a position lies outside.
 *
 * @param folder The adapter, for messages.
 * @param model The model, for messages.
 * @throws {SpielError} `data` naming the adapter, the module, and both shapes.
 */
export function countFittingDeltas(
  { config, modules }: Adapter,
  folder: string,
  plan: ModelPlan,
  model: string,
): DeltaCount[] {
  const recorded = config.spiel?.base_shapes;
  const own = baseShapes(plan.tensors);
  const misfit = recorded === undefined ? undefined : firstMisfit(recorded, own);
  if (misfit !== undefined) {
    throw new SpielError(
      "data",
      `Adapter "${folder}" is of another model than "${model}": its base model has ` +
        `${describe(misfit, recorded)}, this one ${describe(misfit, own)}`,
    );
  }
  return countDeltas(plan, modules, `Adapter "${folder}"`);
}

type Shapes = Readonly<Record<string, readonly [number, number]>>;

/** The first module that only one of two models has, or that they have in different shapes. */
function firstMisfit(base: Shapes, model: Shapes): string | undefined {
  return [...Object.keys(base), ...Object.keys(model)].find((module) =>
    base[module]?.join() !== model[module]?.join()
  );
}

function describe(module: string, shapes: Shapes = {}): string {
  const shape = shapes[module];
  return shape === undefined ? `no "${module}"` : `"${module}" of shape [${shape.join(", ")}]`;
}

/** The shapes of a model's linear layers, of a model whose plan is not made. */
export function linearShapes(
  { tensors }: Pick<ModelSource, "tensors">,
): Record<string, [number, number]> {
  return Object.fromEntries([...tensors].flatMap(([name, { shape: [out = 0, inputs = 0] }]) => {
    const module = /^(model\.layers\..+)\.weight$/.exec(name)?.[1];
    return module === undefined || inputs === 0 ? [] : [[module, [out, inputs]] as const];
  }));
}

/**
 * What adapters may have to know of a model. They name modules as transformers does, which stacks some matrices and puts
 * a model that also sees under another name.
 */
export function baseModelOf(
  source: Pick<ModelSource, "path" | "modelType" | "config" | "tensors" | "read">,
): BaseModel {
  const { stacks, tensorName = (stored) => stored } = architectureOf(
    source.modelType,
    source.path,
  );
  const stacked = stacks?.(source.config) ?? [];
  const tensorOf = ({ module }: ModulePart) => source.tensors.get(`${module}.weight`);
  const partsOf = (stored: string): ModulePart[] => {
    const module = tensorName(stored) ?? stored;
    const [, layer, inLayer] = /^(model\.layers\.\d+\.)(.+)$/.exec(module) ?? [];
    const stack = stacked.find(({ name }) => name === inLayer);
    if (stack === undefined) {
      const rows = source.tensors.get(`${module}.weight`)?.shape[0] ?? 0;
      return [{ module, firstRow: 0, rows }];
    }
    let end = 0;
    return stack.parts.map(([part, rows]) => {
      const firstRow = end;
      end += rows;
      return { module: `${layer}${part}`, firstRow, rows };
    });
  };
  return {
    partsOf,
    shapeOf: (module) => {
      const parts = partsOf(module);
      const inputs = tensorOf(parts[0]!)?.shape[1];
      if (inputs === undefined) return undefined;
      return [parts.reduce((sum, { rows }) => sum + rows, 0), inputs];
    },
    weightsOf: (module) => {
      const arrays = partsOf(module).map((part) => {
        const { format, byteLength } = tensorOf(part) ?? {};
        const dtype = DTYPES.find((name) => name.toLowerCase() === format);
        if (dtype === undefined || byteLength === undefined) return undefined;
        const name = `${part.module}.weight`;
        return decodeValues(dtype, source.read(name, 0, byteLength), name);
      }).filter((array) => array !== undefined);
      return arrays.length === partsOf(module).length ? joined(arrays) : undefined;
    },
  };
}

function joined(arrays: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(arrays.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const array of arrays) {
    all.set(array, at);
    at += array.length;
  }
  return all;
}

/**
 * The dense changes of an adapter by the tensors that they change.
 *
 * @param folder The adapter, for messages.
 * @throws {SpielError} `data` naming the adapter, the module, and both shapes where a change does not fit.
 */
export function fittingChanges(
  { changes }: Adapter,
  folder: string,
  { path, tensors }: Pick<ModelSource, "path" | "tensors">,
  format: TensorChanges["format"],
): TensorChanges {
  const of = new Map<string, DenseChange>();
  for (const [module, change] of changes) {
    const name = `${module}.weight`;
    const tensor = tensors.get(name);
    const shape = tensor?.shape ?? [];
    const fits = change.shape.every((size, axis) => size === null || size === shape[axis]);
    if (tensor === undefined || shape.length !== 2 || !fits) {
      const made = change.shape.map((size) => size ?? "any").join(", ");
      throw new SpielError(
        "data",
        `Adapter "${folder}" changes "${module}" of shape [${made}], but "${path}" has ` +
          (tensor === undefined ? `no "${name}"` : `"${name}" of shape [${shape.join(", ")}]`),
      );
    }
    of.set(name, change);
    if (change.changesBias && tensors.has(`${module}.bias`)) of.set(`${module}.bias`, change);
  }
  return { format, of };
}

/** A model that an adapter fits. */
export interface FittingModel {
  /** Its folder or file, for messages. */
  readonly path: string;
  /** Its tensors. */
  readonly tensors: readonly TensorInfo[];
  /** Its identity, as `modelIdentity` gives it; only asked for where the adapter records one. */
  readonly hash: () => string | Promise<string>;
}

/**
 * The warning for an adapter that fits a model but was, or may have been, trained on another; null where nothing speaks
 * for that. Deltas on another base can be intended, such as on a quantised copy, so this is no error.
 */
export async function otherBaseWarning(
  { config: { spiel }, modules, changes }: Adapter,
  folder: string,
  { path, tensors, hash }: FittingModel,
): Promise<string | null> {
  if (spiel === undefined) {
    const changed = layersOf([...modules.keys(), ...changes.keys()]);
    const all = layersOf(tensors.map(({ name }) => name));
    return changed.size === all.size
      ? null
      : `Adapter "${folder}" does not record its base model and changes ` +
        `${changed.size} of the ${all.size} layers of "${path}"; it may be of another model`;
  }
  if (spiel.base_model_hash === await hash()) return null;
  return `Adapter "${folder}" was trained on another base model than "${path}" ` +
    "(its base_model_hash differs); its deltas may not make sense on this one";
}

/** The numbers of the layers that modules or tensors lie in. */
function layersOf(names: Iterable<string>): Set<string> {
  return new Set([...names].flatMap((name) => /\.layers\.(\d+)\./.exec(name)?.[1] ?? []));
}
