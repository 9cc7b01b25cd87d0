/** PEFT's IA3 layout: a factor for each output of a module, or for each input of a feed-forward one. */

import { z } from "npm:zod@4.6.7";
import { SpielError } from "../../errors.ts";
import type { Adapter, DenseChange } from "../adapter.ts";
import { ScaledMatrix } from "../dense/scaled.ts";
import { COMMON_FIELDS, configError, parseConfig } from "./config.ts";
import type { AdapterFiles, AdapterLayout } from "./layout.ts";
import { modulesOf, readMatrix, tensorName } from "./tensors.ts";

const FACTORS = "ia3_l";

const schema = z.object({
  ...COMMON_FIELDS,
  fan_in_fan_out: z.boolean().default(false),
  feedforward_modules: z.union([z.array(z.string()), z.string()]).nullable().default(null),
  peft_type: z.literal("IA3"),
});

/** The layout. */
export const IA3: AdapterLayout = {
  peftType: "IA3",

  read({ json, configPath, tensors }: AdapterFiles): Adapter {
    const config = parseConfig(schema, json, configPath);
    if (config.fan_in_fan_out) {
      throw configError(configPath, "fan_in_fan_out is true, expected false");
    }
    const changes = new Map<string, DenseChange>();
    for (const module of modulesOf(tensors, [FACTORS]).keys()) {
      const name = tensorName(module, FACTORS);
      const { rows, columns, values } = readMatrix(tensors, name);
      if (rows !== 1 && columns !== 1) {
        throw new SpielError(
          "data",
          `${tensors.path}: "${name}" has shape [${rows}, ${columns}], expected [out, 1] or [1, in]`,
        );
      }
      changes.set(module, new ScaledMatrix(values, columns === 1 ? "outputs" : "inputs"));
    }
    const facts = { feedforward_modules: config.feedforward_modules };
    return { layout: "IA3", config, facts, modules: new Map(), changes };
  },
};
