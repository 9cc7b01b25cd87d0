/** Names of the files in an adapter folder. */

import { join } from "node:path";
import { isFile } from "../io/random_access.ts";

/** What the adapter is. */
export const CONFIG_NAME = "adapter_config.json";
/** Its numbers. */
export const WEIGHTS_NAME = "adapter_model.safetensors";
/** Its numbers as torch saves them, for want of the other. */
export const PICKLE_NAME = "adapter_model.bin";

/** The file of an adapter folder that holds its numbers, whether it is there or not. */
export function adapterWeightsPath(folder: string): string {
  const [weights, pickle] = [join(folder, WEIGHTS_NAME), join(folder, PICKLE_NAME)];
  return !isFile(weights) && isFile(pickle) ? pickle : weights;
}
