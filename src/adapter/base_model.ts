/** Whether an adapter fits a model, and whether that is the model that its deltas were trained on. */

import type { DeltaCount, ModelPlan, TensorInfo } from "../engine/protocol.gen.ts";
import { SpielError } from "../errors.ts";
import { countDeltas } from "../model/load.ts";
import type { SftAdapter } from "./sft.ts";
import type { SftConfig } from "./sft_config.ts";

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
  { config, modules }: SftAdapter,
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

/**
 * The warning for an adapter on another base model of the same shape, or null where it is the same or the adapter does
 * not say. Deltas on another base can be intended, such as on a quantised copy, so this is no error.
 *
 * @param hash The identity of the model at hand, as `modelIdentity` gives it.
 */
export function otherBaseWarning(
  { spiel }: SftConfig,
  adapter: string,
  hash: string,
  model: string,
): string | null {
  if (spiel === undefined || spiel.base_model_hash === hash) return null;
  return `Adapter "${adapter}" was trained on another base model than "${model}" ` +
    "(its base_model_hash differs); its deltas may not make sense on this one";
}
