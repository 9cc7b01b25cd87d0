/** A model without its quantisation, for measuring what another one costs. */

import { open } from "../src/engine/open.ts";
import { denoFiles } from "../src/io/files.ts";
import { inferenceUse, loadModel } from "../src/model/load.ts";
import { saveModel } from "../src/model/save.ts";
import { openModelSource } from "../src/model/source.ts";

/** Writes the weights that a model computes with, in a type without blocks. */
export async function dequantise(
  path: string,
  folder: string,
  dtype: "f32" | "bf16" = "f32",
): Promise<void> {
  await using engine = await open({ device: "cpu" });
  using source = openModelSource(path);
  const { tensors } = await loadModel(engine, source, inferenceUse(1));
  await saveModel(denoFiles, engine, source, tensors, folder, { dtype });
}
