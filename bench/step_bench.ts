/**
 * Measures a training step against the machine's own matrix-product rate, both in one run, and prints one JSON line.
 *
 * `step_bench.ts [--model PATH | --shape NAME] [--method spiel-ag|spiel-ma|full] [--density D] [--sequences B]
 *   [--length T] [--steps N] [--window] [--checkpointing none|block] [--host …] [--threads N]`
 */

import { parseArgs } from "node:util";
import type { Batch, Engine } from "../src/engine/engine.ts";
import { open } from "../src/engine/open.ts";
import { peakMemory } from "../src/engine/peak_memory.ts";
import type { ModelConfig, ModelPlan } from "../src/engine/protocol.gen.ts";
import { inferenceUse, loadModel } from "../src/model/load.ts";
import { type ModelSource, openModelSource } from "../src/model/source.ts";
import { allotDeltas } from "../src/spiel/budget.ts";
import { growthOf } from "../src/spiel/growth/mod.ts";
import { MODEL_SHAPES } from "../tools/make_synthetic/shapes.ts";

const TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

const { values: flags } = parseArgs({
  options: {
    model: { type: "string" },
    shape: { type: "string", default: "smollm2-135m" },
    method: { type: "string", default: "spiel-ag" },
    density: { type: "string", default: "0.01" },
    sequences: { type: "string", default: "4" },
    length: { type: "string", default: "256" },
    steps: { type: "string", default: "5" },
    window: { type: "boolean", default: false },
    checkpointing: { type: "string", default: "none" },
    host: { type: "string", default: "auto" },
    threads: { type: "string" },
  },
});

const [sequences, length, steps] = [flags.sequences, flags.length, flags.steps].map(Number) as [
  number,
  number,
  number,
];
const tokens = sequences * length;
await using engine = await open({
  host: flags.host as "auto",
  device: "cpu",
  threads: flags.threads === undefined ? undefined : Number(flags.threads),
});
using source = flags.model === undefined ? null : openModelSource(flags.model);
const config = source?.config ?? MODEL_SHAPES[flags.shape]!;
const plan = await prepare(engine, source, config);
const batch = randomBatch(config.vocab_size);

// A multiplication and an addition per token and weight: forward, in the inputs' gradients, and in the weights' own
// where all are trained.
const passes = flags.method === "full" ? 3 : 2;
const productFlops = 2 * passes * tokens * productWeights(plan, config);
const times: number[] = [], rates: number[] = [];
await step(1);
for (let i = 0; i < steps; i++) {
  // Product rate and step in turn, so that a drifting machine slows both.
  rates.push(await productRate(engine, config, tokens));
  times.push(await step(i + 2));
}
const [seconds, rate] = [median(times), median(rates)];
const stepRate = productFlops / seconds / 1e9;
console.log(JSON.stringify({
  model: flags.model?.split("/").at(-1) ?? flags.shape,
  method: flags.method,
  density: Number(flags.density),
  window: flags.window,
  sequences,
  length,
  checkpointing: flags.checkpointing,
  host: engine.info.host,
  adapter: engine.info.adapter,
  threads: engine.info.threads,
  step_seconds: round(seconds),
  tokens_per_second: round(tokens / seconds),
  product_gflops_in_step: round(stepRate),
  product_gflops_alone: round(rate),
  share_of_product_rate: round(stepRate / rate),
  plan_bytes: plan.memory.totalBytes,
  peak_bytes: peakMemory(),
}));

async function prepare(engine: Engine, source: ModelSource | null, config: ModelConfig) {
  const growth = growthOf(flags.method);
  const model = source ??
    ({ config, tensors: new Map() } as Pick<ModelSource, "config" | "tensors"> as ModelSource);
  const budget = { density: Number(flags.density) };
  const plan = await loadModel(engine, model, {
    ...inferenceUse(tokens),
    trainable: growth === undefined ? "weights" : "deltas",
    deltas: (plan) => growth === undefined ? [] : allotDeltas(plan, budget, TARGETS),
    candidates: growth?.needsWindow ?? false,
    optimizer: growth?.optimizer ?? "adamw",
    activationCheckpointing: flags.checkpointing as "none" | "block",
  }, { init: source === null ? { seed: 1, std: 0.02 } : null });
  if (growth !== undefined) {
    for (const { module, count } of allotDeltas(plan, budget, TARGETS)) {
      await engine.attachDeltas(module, count, 1);
    }
  }
  return plan;
}

function randomBatch(vocabulary: number): Batch {
  const token = (i: number) => Math.imul(i + 1, 2_654_435_761) % vocabulary;
  const ids = Uint32Array.from({ length: tokens + 1 }, (_, i) => Math.abs(token(i)));
  return {
    tokens: ids.subarray(0, tokens),
    targets: ids.subarray(1),
    cuSeqlens: Uint32Array.from({ length: sequences + 1 }, (_, i) => i * length),
  };
}

/** Seconds of one step: forward, backward, norm and update. */
async function step(number: number): Promise<number> {
  if (flags.window) await engine.beginCandidates();
  const start = performance.now();
  await engine.forwardBackward(batch, 1 / tokens);
  await engine.optimizerStep({
    learningRate: 1e-4,
    weightDecay: 0,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    maxGradNorm: 1,
    step: number,
  });
  await engine.readUpdate();
  return (performance.now() - start) / 1000;
}

/**
 * GFLOP/s of the dense product alone, over one block's shapes. Every call allocates its operands anew, so what counts
 * is how much longer twice as many products take.
 */
async function productRate(engine: Engine, config: ModelConfig, rows: number): Promise<number> {
  const { hidden_size: hidden, intermediate_size: feed } = config;
  const shapes: [number, number][] = [[hidden, hidden], [hidden, feed], [feed, hidden]];
  const flops = shapes.reduce((sum, [inputs, outputs]) => sum + 2 * rows * inputs * outputs, 0);
  const repeats = Math.max(1, Math.round(2e10 / flops));
  const seconds = async (repeats: number) => {
    const start = performance.now();
    for (const [inputs, outputs] of shapes) await engine.runProduct(rows, inputs, outputs, repeats);
    return (performance.now() - start) / 1000;
  };
  await seconds(1);
  const once = await seconds(repeats);
  return flops * repeats / (await seconds(2 * repeats) - once) / 1e9;
}

/** Weights that a token is multiplied with, forward or backward: all linear layers and the head. */
function productWeights(plan: ModelPlan, config: ModelConfig): number {
  const linear = plan.tensors.filter(({ deltaModule }) => deltaModule !== null);
  const sizes = linear.map(({ shape: [rows = 1, columns = 1] }) => rows * columns);
  return sizes.reduce((sum, size) => sum + size, config.vocab_size * config.hidden_size);
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

function round(value: number): number {
  return Number(value.toPrecision(4));
}
