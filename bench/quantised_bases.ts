/**
 * Trains the same run on three forms of one base, a quantised GGUF file, its weights in f32, and these as NF4, and
 * prints one JSON line each with the held-out losses.
 *
 * `quantised_bases.ts --model FILE.gguf --data FILE --eval-data FILE [--map FIELD=NAME,…] [--steps N] [--density X] [--lr X]`
 */

import { join } from "node:path";
import { parseArgs } from "node:util";
import { trainRun } from "../src/train/run.ts";
import { runConfig, type RunOptions } from "../src/train/run_config.ts";
import { dequantise } from "./dequantise.ts";
import { commandLine, count, positive, telling } from "./flags.ts";

const { model, common, lr } = commandLine(import.meta, () => {
  const { values: flags } = parseArgs({
    options: {
      model: { type: "string" },
      data: { type: "string" },
      "eval-data": { type: "string" },
      map: { type: "string", default: "prompt=question,completion=answer" },
      steps: { type: "string", default: "30" },
      density: { type: "string" },
      lr: { type: "string", default: "1e-3" },
    },
  });
  const { model, data, "eval-data": evalData } = flags;
  if (model === undefined || data === undefined || evalData === undefined) {
    throw new RangeError("Expected --model, --data and --eval-data");
  }
  const budget = flags.density === undefined
    ? { numDeltas: 2_442_240 }
    : { density: positive("--density", flags.density) };
  const common = {
    ...{ data: [data], evalData: [evalData], maxSteps: count("--steps", flags.steps) },
    map: Object.fromEntries(flags.map.split(",").map((pair) => pair.split("="))),
    ...budget,
  };
  return { model, common, lr: positive("--lr", flags.lr) };
});

const work = await Deno.makeTempDir({ prefix: "spiel_bases_" });
await telling(measureAll);

async function measureAll(): Promise<void> {
  try {
    const dequantised = join(work, "f32");
    await dequantise(model, dequantised);
    const bases: [name: string, options: Pick<RunOptions, "model" | "quantize">][] = [
      ["as stored", { model }],
      ["f32", { model: dequantised }],
      ["nf4", { model: dequantised, quantize: "nf4" }],
    ];
    for (const [name, options] of bases) console.log(JSON.stringify(await measure(name, options)));
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

/** The settings of docs/results.md, but for what the flags say. */
async function measure(name: string, options: Pick<RunOptions, "model" | "quantize">) {
  const losses: number[] = [];
  const { elapsedS, peakMemoryBytes } = await trainRun(
    runConfig({
      ...common,
      ...options,
      out: join(work, `run on ${name}`),
      device: "cpu",
      lr,
      lrSchedule: "linear",
      warmupRatio: 0.03,
      reselectionSteps: 20,
      selectionAccumulationSteps: 5,
      gradientAccumulationSteps: 2,
      microBatchExamples: 4,
      packing: "none",
      maxLength: 512,
      microBatchTokens: 2048,
      lossNormalization: "micro_batch",
      evalEvery: 0,
      saveEvery: 0,
      seed: 1,
    }),
    {
      onEvent: (event) => {
        if (event.type === "eval") losses.push(event.loss);
      },
    },
  );
  const [before, after] = losses;
  // The most that the process has held so far, earlier bases included.
  return { base: name, steps: common.maxSteps, before, after, seconds: elapsedS, peakMemoryBytes };
}
