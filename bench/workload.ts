/** A workload on a loaded model: how it is prepared, and what is timed. */

import type { Batch, Engine } from "../src/engine/engine.ts";
import type { ModelConfig, ModelPlan } from "../src/engine/protocol.gen.ts";
import { sampleToken } from "../src/generate/sampling.ts";
import { inferenceUse, loadModel, type ModelUse } from "../src/model/load.ts";
import type { ModelSource } from "../src/model/source.ts";
import { allotDeltas } from "../src/spiel/budget.ts";
import { growthOf } from "../src/spiel/growth/mod.ts";
import type { Configuration, Training } from "./configurations.ts";

/** The matrices that have deltas. */
export const TARGETS = [
  "q_proj",
  "k_proj",
  "v_proj",
  "o_proj",
  "gate_proj",
  "up_proj",
  "down_proj",
];
/** Tokens that a run of generation makes. */
const GENERATED = 32;

/** How the base is kept and multiplied. */
type BaseUse = Pick<ModelUse, "precision" | "quantize">;

/** What is timed again and again. */
export interface Prepared {
  readonly plan: ModelPlan;
  /** Tokens of one run. */
  readonly tokens: number;
  /** Seconds of a window's first micro-batch with its step, which chooses the candidates; absent without a window. */
  readonly candidateSeconds?: number;
  /** Runs once; returns the seconds of what counts. */
  readonly run: () => Promise<number>;
}

/** Loads a model for a workload, and warms up. */
export async function prepare(
  engine: Engine,
  source: ModelSource,
  workload: Configuration["workload"],
  base: BaseUse,
): Promise<Prepared> {
  if (workload.task === "train") return await prepareTraining(engine, source, workload, base);
  if (workload.task === "decode") {
    const plan = await loadModel(engine, source, { ...inferenceUse(1), ...base });
    return await warm({
      ...{ plan, tokens: GENERATED },
      run: secondsOf(() => generate(engine, source.config)),
    });
  }
  const tokens = workload.sequences * workload.length;
  const batch = randomBatch(source.config, tokens, workload.sequences);
  const plan = await loadModel(engine, source, { ...inferenceUse(tokens), ...base });
  return await warm({ plan, tokens, run: secondsOf(() => engine.forward(batch)) });
}

async function warm(prepared: Prepared): Promise<Prepared> {
  await prepared.run();
  return prepared;
}

async function prepareTraining(
  engine: Engine,
  source: ModelSource,
  workload: Training,
  base: BaseUse,
): Promise<Prepared> {
  const { method, budget, window, checkpointing, sequences, length } = workload;
  const growth = growthOf(method);
  const tokens = sequences * length;
  const deltas = (plan: ModelPlan) =>
    growth === undefined ? [] : allotDeltas(plan, budget, TARGETS);
  const plan = await loadModel(engine, source, {
    ...inferenceUse(tokens),
    ...base,
    trainable: growth === undefined ? "weights" : "deltas",
    deltas,
    candidates: growth?.needsWindow ?? false,
    optimizer: growth?.optimizer ?? "adamw",
    activationCheckpointing: checkpointing,
  });
  for (const { module, count } of deltas(plan)) await engine.attachDeltas(module, count, 1);
  const batch = randomBatch(source.config, tokens, sequences);
  let number = 0;
  const run = secondsOf(() => step(engine, batch, ++number));
  await run();
  if (!window) return { plan, tokens, run };
  await engine.beginCandidates();
  const candidateSeconds = await run();
  // What only later micro-batches do has not been done before.
  await run();
  return { plan, tokens, candidateSeconds, run };
}

/** Forward, backward, norm and update. */
async function step(engine: Engine, batch: Batch, number: number): Promise<void> {
  await engine.forwardBackward(batch, 1 / batch.tokens.length);
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
}

/** Tokens one by one, each the likeliest after those before. */
async function generate(engine: Engine, config: ModelConfig): Promise<void> {
  await engine.beginGeneration(GENERATED);
  let next = randomTokens(config, 1);
  for (let i = 0; i < GENERATED; i++) {
    const logits = await engine.feed(next);
    next = Uint32Array.of(sampleToken(logits, { temperature: 0, topP: 1 }, 0));
  }
  await engine.endGeneration();
}

function secondsOf(work: () => Promise<unknown>): () => Promise<number> {
  return async () => {
    const begun = performance.now();
    await work();
    return (performance.now() - begun) / 1000;
  };
}

/** Random tokens in sequences as long as each other, to a token; every position has a target. */
export function randomBatch(config: ModelConfig, tokens: number, sequences: number): Batch {
  const ids = randomTokens(config, tokens + 1);
  const end = (sequence: number) => Math.floor(sequence * tokens / sequences);
  return {
    tokens: ids.subarray(0, -1),
    targets: ids.subarray(1),
    cuSeqlens: Uint32Array.from({ length: sequences + 1 }, (_, i) => end(i)),
  };
}

function randomTokens({ vocab_size: vocabulary }: ModelConfig, count: number): Uint32Array {
  const token = (i: number) => (Math.imul(i + 1, 2_654_435_761) >>> 0) % vocabulary;
  return Uint32Array.from({ length: count }, (_, i) => token(i));
}
