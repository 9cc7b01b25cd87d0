/**
 * Measures the most memory that a process holds while it loads a model of four of LLaMA-2-7B's blocks (1.07 billion
 * weights), from every kind of file, and prints one JSON line each.
 *
 * `limitBytes` is the process before, 1.1 times the weights in memory and the largest tensor of the files. The rest of
 * the memory plan is for computing, and is not held before that.
 *
 * `load_memory.ts [PATH [FORMAT]]` makes the files in a temporary folder (8 GB) and loads each in a process of its own,
 * or loads one model alone, quantised to a format.
 */

import { join } from "node:path";
import { parseArgs } from "node:util";
import { open } from "../src/engine/open.ts";
import type { ModelConfig } from "../src/engine/protocol.gen.ts";
import {
  inferenceUse,
  loadModel,
  QUANTIZED_FORMATS,
  type QuantizedFormat,
} from "../src/model/load.ts";
import { openModelSource } from "../src/model/source.ts";
import { makeSyntheticModel } from "../tools/make_synthetic.ts";
import { MODEL_SHAPES } from "../tools/make_synthetic/shapes.ts";
import { commandLine, oneOf, telling } from "./flags.ts";
import { MeasurementFailure } from "./measurement.ts";
import { peakMemory } from "./peak_memory.ts";
import { round } from "./statistics.ts";
import { writeFolder } from "./synthetic_folder.ts";

const CONFIG: ModelConfig = { ...MODEL_SHAPES["llama-2-7b"]!, num_hidden_layers: 4 };
const SHARDS = 3;

const { path, quantize } = commandLine(import.meta, () => {
  const { positionals: [path, quantize, more] } = parseArgs({ allowPositionals: true });
  if (more !== undefined) throw new RangeError(`Expected a model and a format, not also ${more}`);
  return {
    path,
    quantize: quantize === undefined ? undefined : oneOf("The format", quantize, QUANTIZED_FORMATS),
  };
});
await telling(() => path === undefined ? measureAll() : measure(path, quantize));

async function measureAll(): Promise<void> {
  const work = await Deno.makeTempDir({ prefix: "spiel_load_" });
  try {
    const at = (name: string) => join(work, name);
    await makeSyntheticModel(at("q4_0.gguf"), "four blocks", CONFIG, 1);
    await writeFolder(at("single"), CONFIG);
    await writeFolder(at("sharded"), CONFIG, SHARDS);
    const cases = [
      ["q4_0.gguf"],
      ["single"],
      ["sharded"],
      ["single", "nf4"],
      ["sharded", "q8_0"],
      ["sharded", "q4_0"],
    ] as const;
    for (const [name, ...format] of cases) {
      const args = ["run", "-A", "--no-check", import.meta.filename!, at(name), ...format];
      const { code } = await new Deno.Command(Deno.execPath(), { args }).spawn().status;
      if (code !== 0) throw new MeasurementFailure(`${name} was not loaded`);
    }
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

async function measure(path: string, quantize?: QuantizedFormat): Promise<void> {
  await using engine = await open({ host: "native", device: "cpu" });
  using source = openModelSource(path);
  const idleBytes = peakMemory()!;
  const start = performance.now();
  const { memory } = await loadModel(engine, source, { ...inferenceUse(1), quantize });
  const seconds = (performance.now() - start) / 1000;
  const peakBytes = peakMemory()!;
  const weights = memory.rows.find(({ purpose }) => purpose === "weights")!.bytes;
  const largest = Math.max(...[...source.tensors.values()].map(({ byteLength }) => byteLength));
  console.log(JSON.stringify({
    files: path.split("/").at(-1),
    quantize: quantize ?? null,
    seconds: round(seconds),
    idleBytes,
    weightsBytes: weights,
    planBytes: memory.totalBytes,
    peakBytes,
    limitBytes: Math.round(idleBytes + 1.1 * weights + largest),
  }));
}
