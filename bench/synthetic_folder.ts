/** Hugging Face folders of random weights, for what is measured of loading. */

import { join } from "node:path";
import type { ModelConfig } from "../src/engine/protocol.gen.ts";
import { safetensorsContent, type SafetensorsTensor } from "../src/io/safetensors_writer.ts";
import { toHuggingFaceConfig } from "../src/model/architectures/mod.ts";
import { expectedShapes } from "../src/model/tensors.ts";

/** Elements that are written at once. */
const PART = 4 << 20;

/** Writes a folder of random bf16 matrices, in one file or in shards. */
export async function writeFolder(
  folder: string,
  config: ModelConfig,
  shards = 1,
): Promise<void> {
  await Deno.mkdir(folder);
  const json = toHuggingFaceConfig("llama", config, { bos: 1, eos: [2] });
  await Deno.writeTextFile(join(folder, "config.json"), JSON.stringify(json));
  const shapes = [...expectedShapes(config)];
  const weight_map: Record<string, string> = {};
  for (let shard = 0; shard < shards; shard++) {
    const number = (n: number) => String(n).padStart(5, "0");
    const name = shards === 1
      ? "model.safetensors"
      : `model-${number(shard + 1)}-of-${number(shards)}.safetensors`;
    const share = shapes.filter((_, index) => Math.floor(index * shards / shapes.length) === shard);
    const tensors = new Map(share.map(([tensor, shape]) => [tensor, randomTensor(shape)]));
    const file = await Deno.create(join(folder, name));
    await ReadableStream.from(safetensorsContent(tensors)).pipeTo(file.writable);
    for (const [tensor] of share) weight_map[tensor] = name;
  }
  if (shards === 1) return;
  const index = JSON.stringify({ metadata: {}, weight_map });
  await Deno.writeTextFile(join(folder, "model.safetensors.index.json"), index);
}

function randomTensor(shape: readonly number[]): SafetensorsTensor {
  const elements = shape.reduce((product, size) => product * size, 1);
  return {
    dtype: "BF16",
    shape,
    *parts() {
      let state = elements;
      for (let at = 0; at < elements; at += PART) {
        const part = new Uint16Array(Math.min(PART, elements - at));
        for (let i = 0; i < part.length; i++) {
          state ^= state << 13;
          state ^= state >>> 17;
          state ^= state << 5;
          // Of either sign, from 2⁻⁷ to 2⁻⁶.
          part[i] = state & 0x807F | 0x3C00;
        }
        yield part;
      }
    },
  };
}
