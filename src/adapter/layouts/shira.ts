/** PEFT's SHIRA layout: deltas by row and column, as many in every module as a LoRA of one rank has numbers. */

import { z } from "npm:zod@4.6.7";
import { SpielError } from "../../errors.ts";
import type { TensorFile } from "../../io/tensor_file.ts";
import type { Adapter, Shape, StoredDeltas } from "../adapter.ts";
import { decodeIndices, sortDeltas } from "../deltas.ts";
import { COMMON_FIELDS, configError, parseConfig } from "./config.ts";
import type { AdapterFiles, AdapterLayout } from "./layout.ts";
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

  read({ json, configPath, tensors, shapeOf }: AdapterFiles): Adapter {
    const config = parseConfig(schema, json, configPath);
    if (config.fan_in_fan_out) {
      throw configError(configPath, "fan_in_fan_out is true, expected false");
    }
    const recorded = config.spiel?.base_shapes;
    const modules = new Map<string, StoredDeltas>();
    for (const name of modulesOf(tensors, [VALUES, INDICES]).keys()) {
      const shape = shapeOf(name) ?? recorded?.[name];
      if (shape === undefined) {
        throw new SpielError(
          "data",
          `${tensors.path}: "${name}" has deltas by row and column, but the width of its matrix is not recorded; ` +
            "expected a base model that has it",
        );
      }
      modules.set(name, readModule(tensors, name, shape));
    }
    const { r, mask_type } = config;
    return { layout: "SHIRA", config, facts: { r, mask_type }, modules, changes: new Map() };
  },
};

function readModule(file: TensorFile, module: string, [out, inputs]: Shape): StoredDeltas {
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
