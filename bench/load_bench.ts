/**
 * Measures how fast a model's weights are loaded from the page cache, and prints one JSON line.
 *
 * `load_bench.ts [--model PATH] [--repeats N] [--host auto|native|wasm] [--threads N]`; without a model, a folder of 1 GB in
 * bf16 is made for it.
 */

import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { open } from "../src/engine/open.ts";
import type { ModelConfig } from "../src/engine/protocol.gen.ts";
import { inferenceUse, loadModel } from "../src/model/load.ts";
import { openModelSource } from "../src/model/source.ts";
import { MODEL_SHAPES } from "../tools/make_synthetic/shapes.ts";
import { commandLine, count, oneOf, optionalCount, telling } from "./flags.ts";
import { HOSTS } from "./measurement.ts";
import { median, round } from "./statistics.ts";
import { writeFolder } from "./synthetic_folder.ts";

/** 0.5 billion weights. */
const CONFIG: ModelConfig = { ...MODEL_SHAPES["llama-2-7b"]!, num_hidden_layers: 1 };

const { model, repeats, ...options } = commandLine(import.meta, () => {
  const { values: flags } = parseArgs({
    options: {
      model: { type: "string" },
      repeats: { type: "string", default: "5" },
      host: { type: "string", default: "native" },
      threads: { type: "string" },
    },
  });
  return {
    model: flags.model,
    repeats: count("--repeats", flags.repeats),
    host: oneOf("--host", flags.host, HOSTS),
    threads: optionalCount("--threads", flags.threads),
  };
});

await telling(() => model === undefined ? measureMade() : measure(model));

async function measureMade() {
  const work = await Deno.makeTempDir({ prefix: "spiel_load_" });
  try {
    await writeFolder(join(work, "bf16"), CONFIG);
    await measure(join(work, "bf16"));
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

async function measure(path: string) {
  await using engine = await open({ ...options, device: "cpu" });
  const times: number[] = [];
  let bytes = 0;
  // The first loading fills the page cache.
  for (let i = 0; i <= repeats; i++) {
    const start = performance.now();
    using source = openModelSource(path);
    await loadModel(engine, source, inferenceUse(1));
    times.push((performance.now() - start) / 1000);
    bytes = [...source.tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
  }
  const warm = times.slice(1);
  const seconds = median(warm);
  console.log(JSON.stringify({
    files: basename(path),
    host: engine.info.host,
    threads: engine.info.threads,
    bytes,
    seconds: round(seconds),
    gigabytes_per_second: round(bytes / seconds / 1e9),
    fastest_gigabytes_per_second: round(bytes / Math.min(...warm) / 1e9),
  }));
}
