/** Short training runs of the real loop on small models with random weights. */

import type { Engine } from "../../src/engine/engine.ts";
import type {
  ActivationCheckpointing,
  ModelConfig,
  ModelOptions,
} from "../../src/engine/protocol.gen.ts";
import { allotDeltas } from "../../src/spiel/budget.ts";
import { growthOf } from "../../src/spiel/growth/mod.ts";
import { trainedModules } from "../../src/train/run_model.ts";
import { type Snapshot, snapshotOf, type Trained } from "../../src/train/snapshot.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { PROJECTIONS, randomBatch, WEIGHTS_OPTIONS } from "./small_model.ts";

/** A short run. */
export interface SmallRun {
  readonly config: ModelConfig;
  readonly method: "spiel-ag" | "spiel-ma" | "full";
  readonly steps: number;
  readonly seed: number;
  /** Lengths of the sequences of each micro-batch. */
  readonly lengths: readonly number[];
  readonly activationCheckpointing?: ActivationCheckpointing;
}

/** What a run left: the loss of every step, and every array of the trained state by name. */
export interface SmallRunResult {
  readonly losses: number[];
  readonly reselections: number;
  readonly state: ReadonlyMap<string, Float32Array | Uint32Array>;
}

/** Trains a model from random weights: two micro-batches a step, a reselection after steps 2, 6, 10, … */
export async function trainSmall(engine: Engine, run: SmallRun): Promise<SmallRunResult> {
  const { config, seed, steps, lengths } = run;
  const growth = growthOf(run.method);
  const batch = (index: number) => randomBatch(config.vocab_size, lengths, 100 * seed + index % 6);
  const options: ModelOptions = {
    ...WEIGHTS_OPTIONS,
    trainable: growth === undefined ? "weights" : "deltas",
    candidates: growth?.needsWindow ?? false,
    optimizer: growth?.optimizer ?? "adamw",
    microBatchTokens: batch(0).tokens.length,
    activationCheckpointing: run.activationCheckpointing ?? "none",
  };
  const { tensors, parameters } = await engine.planModel(config, options);
  const deltas = growth === undefined
    ? []
    : allotDeltas({ tensors, parameters }, { density: 0.05 }, PROJECTIONS);
  await engine.createModel(config, { ...options, deltas });
  await engine.initTensors(seed, 0.2);
  for (const { module, count } of deltas) await engine.attachDeltas(module, count, seed);

  const losses: number[] = [];
  let reselections = 0;
  const trainer = new Trainer(
    {
      engine,
      batches: { microBatch: batch, epochAt: (index) => index / 6 },
      evaluate: null,
      save: null,
      onEvent: (event) => {
        if (event.type === "step") losses.push(event.loss);
        if (event.type === "reselect") reselections++;
      },
    },
    {
      totalSteps: steps,
      gradientAccumulationSteps: 2,
      learningRate: { lr: 2e-3, schedule: "constant", warmupSteps: 0, totalSteps: steps },
      update: {
        lossNormalization: "token",
        maxGradNorm: 1,
        weightDecay: 0.1,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
      },
      spiel: growth === undefined ? null : {
        growth,
        schedule: {
          totalSteps: steps,
          reselectionSteps: 4,
          selectionAccumulationSteps: 2,
          initialReselectionRate: 0.3,
          reselectionRatePolicy: "linear",
          firstReplacesAll: true,
        },
      },
      logEvery: 1,
      evalEvery: 0,
      earlyStopPatience: 0,
      savesBest: false,
      saveEvery: 0,
    },
  );
  const { position } = await trainer.run();
  const trained: Trained = growth === undefined
    ? { kind: "weights", tensors }
    : { kind: "deltas", modules: trainedModules({ tensors }, deltas), optimizer: growth.optimizer };
  const state = await flatten(snapshotOf(engine, trained, position.windowSamples));
  return { losses, reselections, state };
}

async function flatten(snapshot: Snapshot) {
  const state = new Map<string, Float32Array | Uint32Array>();
  for (const [file, arrays] of Object.entries(snapshot)) {
    for (const [name, { dtype, parts }] of arrays) {
      const bytes = await new Blob(await Array.fromAsync(parts())).arrayBuffer();
      state.set(
        `${file}: ${name}`,
        dtype === "U32" ? new Uint32Array(bytes) : new Float32Array(bytes),
      );
    }
  }
  return state;
}
