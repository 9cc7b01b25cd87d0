/** A small training run on the fake engine: two modules, six micro-batches that repeat. */

import type { ModelConfig, ModelOptions } from "../../src/engine/protocol.gen.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { IGNORE } from "../../src/engine/protocol.gen.ts";
import { GROWTHS } from "../../src/spiel/growth/mod.ts";
import { evaluate, type HeldOutBatches } from "../../src/train/evaluate.ts";
import type { TrainerOptions } from "../../src/train/options.ts";
import type { Trained } from "../../src/train/snapshot.ts";
import type { BatchSource, TrainingBatch } from "../../src/train/step.ts";
import type { TrainerParts } from "../../src/train/trainer.ts";

/** Only the sizes that the fake engine looks at. */
export const TOY_CONFIG = {
  hidden_size: 8,
  num_hidden_layers: 1,
  vocab_size: 32,
} as ModelConfig;

const DELTAS = 6;
const EPOCH = 6;

/** The toy's trained modules under a method's optimiser. */
export function toyTrained(method: string): Trained {
  const modules = ["self_attn.q_proj", "mlp.up_proj"].map((name) => ({
    module: `model.layers.0.${name}`,
    count: DELTAS,
    shape: [8, TOY_CONFIG.hidden_size] as const,
  }));
  return { kind: "deltas", modules, optimizer: growth(method).optimizer };
}

/** A model without deltas. */
export async function createToy(engine: Engine, method: string): Promise<void> {
  const { optimizer } = growth(method);
  await engine.createModel(TOY_CONFIG, { optimizer } as ModelOptions);
}

/** Gives the model its first deltas. */
export async function attachToyDeltas(engine: Engine, method: string): Promise<void> {
  const trained = toyTrained(method);
  if (trained.kind !== "deltas") return;
  for (const { module, count } of trained.modules) await engine.attachDeltas(module, count, 3);
}

/** A micro-batch of one sequence; the first token is not trained. */
export function toyBatch(index: number): TrainingBatch {
  const length = 4 + index % 3;
  const tokens = Uint32Array.from({ length }, (_, t) => (5 * index + 3 * t) % 32);
  const targets = Uint32Array.from(tokens, (_, t) => t === 0 ? IGNORE : (tokens[t + 1] ?? IGNORE));
  const cuSeqlens = Uint32Array.of(0, length);
  return {
    tokens,
    targets,
    cuSeqlens,
    targetTokens: length - 2,
    origins: [`toy.jsonl:${index + 1}`],
  };
}

/** Micro-batches that repeat every epoch. */
export const TOY_BATCHES: BatchSource = {
  microBatch: (index) => toyBatch(index % EPOCH),
  epochAt: (index) => index / EPOCH,
};

/** Held-out micro-batches. */
export function toyHeldOut(...indices: readonly number[]): HeldOutBatches {
  const batches = indices.map(toyBatch);
  const examples = batches.reduce((sum, { cuSeqlens }) => sum + cuSeqlens.length - 1, 0);
  return Object.assign(batches, { examples });
}

/** The evaluation of two held-out micro-batches. */
export const toyEvaluation = (engine: Engine): NonNullable<TrainerParts["evaluate"]> => (signal) =>
  evaluate(engine, toyHeldOut(7, 11), null, { signal });

/** Fourteen steps with three reselections, an evaluation every four steps and a checkpoint every three. */
export function toyOptions(method: string): TrainerOptions {
  return {
    totalSteps: 14,
    gradientAccumulationSteps: 2,
    learningRate: { lr: 0.5, schedule: "linear", warmupSteps: 2, totalSteps: 14 },
    update: {
      lossNormalization: "token",
      maxGradNorm: 1,
      weightDecay: 0,
      beta1: 0.9,
      beta2: 0.999,
      epsilon: 1e-8,
    },
    spiel: {
      growth: growth(method),
      schedule: {
        totalSteps: 14,
        reselectionSteps: 5,
        selectionAccumulationSteps: 2,
        initialReselectionRate: 0.5,
        reselectionRatePolicy: "linear",
        firstReplacesAll: true,
      },
    },
    logEvery: 1,
    evalEvery: 4,
    earlyStopPatience: 0,
    savesBest: false,
    saveEvery: 3,
  };
}

function growth(method: string) {
  const found = GROWTHS.find((one) => one.method === method);
  if (found === undefined) throw new Error(`No method ${method}`);
  return found;
}
