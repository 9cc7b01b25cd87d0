/** PEFT's SHIRA layout: deltas by row and column, as many in every module as a LoRA of one rank has numbers. */

import { z } from "npm:zod@4.6.7";
import { SpielError } from "../../errors.ts";
import type { SafetensorsTensor } from "../../io/safetensors_writer.ts";
import type { TensorFile } from "../../io/tensor_file.ts";
import type { Adapter, Shape, StoredDeltas } from "../adapter.ts";
import { decodeIndices, sortDeltas, type SparseDeltas } from "../deltas.ts";
import { COMMON_FIELDS, configError, parseConfig } from "./config.ts";
import { padModules, placesTensor, valuesTensor } from "./encode_deltas.ts";
import type { AdapterFiles, AdapterLayout, EncodedAdapter, SparseAdapter } from "./layout.ts";
import { modulesOf, readFloats, tensorName } from "./tensors.ts";

const VALUES = "shira_weight";
const INDICES = "shira_indices";

const schema = z.object({
  ...COMMON_FIELDS,
  fan_in_fan_out: z.boolean().default(false),
  mask_type: z.string().default("random"),
  peft_type: z.literal("SHIRA"),
  r: z.int().min(1).default(32),
});

/** The layout. */
export const SHIRA: AdapterLayout = {
  peftType: "SHIRA",

  read({ json, configPath, tensors, base }: AdapterFiles): Adapter {
    const config = parseConfig(schema, json, configPath);
    if (config.fan_in_fan_out) {
      throw configError(configPath, "fan_in_fan_out is true, expected false");
    }
    const recorded = config.spiel?.base_shapes;
    const modules = new Map<string, StoredDeltas>();
    for (const name of modulesOf(tensors, [VALUES, INDICES]).keys()) {
      const shape = base.shapeOf(name) ?? recorded?.[name];
      if (shape === undefined && !base.anyPositions) {
        throw new SpielError(
          "data",
          `${tensors.path}: "${name}" has deltas by row and column, but the width of its matrix is not recorded; ` +
            "expected a base model that has it (--model)",
        );
      }
      modules.set(name, readModule(tensors, name, shape));
    }
    const { r, mask_type } = config;
    return { layout: "SHIRA", config, facts: { r, mask_type }, modules, changes: new Map() };
  },

  encode({ config, modules }: SparseAdapter, shapeOf: (module: string) => Shape): EncodedAdapter {
    const r = rankOf(modules, shapeOf);
    const padded = padModules(modules, (name) => r * lengthOf(shapeOf(name)));
    const tensors = new Map<string, SafetensorsTensor>();
    for (const [name, { indices, values }] of padded.modules) {
      const [, inputs] = shapeOf(name);
      const rows = indices.map((index) => Math.floor(index / inputs));
      const columns = indices.map((index) => index % inputs);
      tensors.set(tensorName(name, VALUES), valuesTensor(values));
      const shape = [2, indices.length];
      tensors.set(tensorName(name, INDICES), placesTensor([rows, columns], shape, name));
    }
    const { base_model_name_or_path, target_modules, spiel } = config;
    return {
      config: {
        auto_mapping: null,
        base_model_name_or_path,
        fan_in_fan_out: false,
        inference_mode: true,
        init_weights: true,
        mask_type: "random",
        modules_to_save: null,
        peft_type: "SHIRA",
        r,
        random_seed: null,
        revision: null,
        target_modules,
        task_type: "CAUSAL_LM",
        ...(spiel && { spiel }),
      },
      tensors,
      padding: padded.padding,
    };
  },
};

/** Of a row and a column together: the numbers of a LoRA of rank 1. */
function lengthOf([out, inputs]: Shape): number {
  return out + inputs;
}

/**
 * The least rank that makes room for every module's deltas.
 *
 * @throws {SpielError} "data" where that is more room than a module has weights.
 */
function rankOf(
  modules: ReadonlyMap<string, SparseDeltas>,
  shapeOf: (module: string) => Shape,
): number {
  const ranks = [...modules].map(([name, { values }]) => ({
    name,
    rank: Math.ceil(values.length / lengthOf(shapeOf(name))),
  }));
  const most = ranks.reduce((fullest, one) => one.rank > fullest.rank ? one : fullest);
  for (const { name } of ranks) {
    const [out, inputs] = shapeOf(name);
    const count = most.rank * lengthOf([out, inputs]);
    if (count <= out * inputs) continue;
    throw new SpielError(
      "data",
      `SHIRA cannot hold these deltas: with those of "${most.name}", its rank is ${most.rank}, and ` +
        `"${name}" of shape [${out}, ${inputs}] would have ${count} in ${out * inputs} weights`,
    );
  }
  return most.rank;
}

/** @param shape Of the matrix; the least that has all the places where it is undefined. */
function readModule(file: TensorFile, module: string, shape: Shape | undefined): StoredDeltas {
  const [valuesName, indicesName] = [tensorName(module, VALUES), tensorName(module, INDICES)];
  const [stored, placed] = [file.entry(valuesName), file.entry(indicesName)];
  const where = `${file.path}: "${module}"`;
  const [count = 0] = stored.shape;
  if (stored.shape.length !== 1 || placed.shape.join() !== `2,${count}`) {
    throw new SpielError(
      "data",
      `${where}: ${VALUES} of shape [${stored.shape.join(", ")}] and ${INDICES} of shape ` +
        `[${placed.shape.join(", ")}], expected [k] and [2, k]`,
    );
  }
  const places = placesOf(file, indicesName, placed.dtype);
  const [out, inputs] = shape ?? leastShape(places, count, where);
  const indices = new Uint32Array(count);
  for (let slot = 0; slot < count; slot++) {
    const [row = 0, column = 0] = [places[slot], places[count + slot]];
    if (row >= out || column >= inputs) {
      throw new SpielError(
        "data",
        `${where}: a delta at row ${row}, column ${column}, ` +
          `but the model's matrix has shape [${out}, ${inputs}]`,
      );
    }
    indices[slot] = row * inputs + column;
  }
  const deltas = { indices, values: readFloats(file, valuesName) };
  return { ...sortDeltas(deltas, where), dtype: stored.dtype as StoredDeltas["dtype"] };
}

function leastShape(places: ArrayLike<number>, count: number, where: string): Shape {
  let [out, inputs] = [1, 1];
  for (let slot = 0; slot < count; slot++) {
    out = Math.max(out, places[slot]! + 1);
    inputs = Math.max(inputs, places[count + slot]! + 1);
  }
  if (out * inputs <= 2 ** 32) return [out, inputs];
  throw new SpielError(
    "data",
    `${where}: deltas in row ${out - 1} and in column ${inputs - 1}, ` +
      "expected a matrix of at most 2^32 weights",
  );
}

/** Rows and columns. PEFT stores them as F32 on Windows. */
function placesOf(file: TensorFile, name: string, dtype: string): ArrayLike<number> {
  if (dtype !== "F32") return decodeIndices(dtype, file.read(name), `${file.path}: "${name}"`);
  const places = readFloats(file, name);
  const slot = places.findIndex((place) => !Number.isInteger(place) || place < 0);
  if (slot < 0) return places;
  throw new SpielError(
    "data",
    `${file.path}: "${name}": ${places[slot]} in slot ${slot}, expected a whole number`,
  );
}
