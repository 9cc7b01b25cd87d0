/** The numbers that the training loop needs, out of a run's configuration. */

import type { Growth } from "../spiel/growth/mod.ts";
import { growthOf } from "../spiel/growth/mod.ts";
import type { ScheduleConfig } from "../spiel/schedule.ts";
import { type LrScheduleConfig, warmupStepsOf } from "./lr_schedule.ts";
import type { RunConfig } from "./run_config.ts";
import type { StepOptions } from "./step.ts";

/** How long and how to train. */
export interface TrainerOptions {
  /** N, optimiser steps of the whole run. */
  readonly totalSteps: number;
  /** V, tokens to choose from, by which an exploded loss is known; it is not looked for when absent. */
  readonly vocabulary?: number;
  /** G, micro-batches per step. */
  readonly gradientAccumulationSteps: number;
  /** The learning rate of every step. */
  readonly learningRate: LrScheduleConfig;
  /** The numbers of an update that do not change. */
  readonly update: StepOptions;
  /** How deltas move; `null` where they stay, or where every weight is trained. */
  readonly spiel: { readonly growth: Growth; readonly schedule: ScheduleConfig } | null;
  /** Steps between two whose loss and gradient norm are read and told; the last is always. */
  readonly logEvery: number;
  /** Steps between evaluations; 0 evaluates before the first and after the last step only. */
  readonly evalEvery: number;
  /** Evaluations without a lower loss after which the run ends; 0 is never. */
  readonly earlyStopPatience: number;
  /** Steps between checkpoints; 0 saves after the last step only. */
  readonly saveEvery: number;
}

/** The loop's options for a run of `totalSteps` steps on a model with a vocabulary. */
export function trainerOptions(
  config: RunConfig,
  { totalSteps, vocabulary }: { readonly totalSteps: number; readonly vocabulary: number },
): TrainerOptions {
  const growth = growthOf(config.method);
  return {
    totalSteps,
    vocabulary,
    gradientAccumulationSteps: config.gradientAccumulationSteps,
    learningRate: {
      lr: config.lr,
      schedule: config.lrSchedule,
      warmupSteps: config.warmupSteps ?? warmupStepsOf(config.warmupRatio ?? 0, totalSteps),
      totalSteps,
    },
    update: {
      lossNormalization: config.lossNormalization,
      maxGradNorm: config.maxGradNorm,
      weightDecay: config.weightDecay,
      beta1: config.beta1,
      beta2: config.beta2,
      epsilon: config.epsilon,
    },
    spiel: growth === undefined ? null : { growth, schedule: scheduleOf(config, totalSteps) },
    logEvery: config.logEvery,
    evalEvery: config.evalEvery,
    earlyStopPatience: config.earlyStopPatience,
    saveEvery: config.saveEvery,
  };
}

function scheduleOf(config: RunConfig, totalSteps: number): ScheduleConfig {
  return {
    totalSteps,
    reselectionSteps: config.reselectionSteps,
    selectionAccumulationSteps: config.selectionAccumulationSteps,
    initialReselectionRate: config.initialReselectionRate,
    reselectionRatePolicy: config.reselectionRatePolicy,
    // New deltas are at random positions, those of an adapter where they belong.
    firstReplacesAll: config.adapter === undefined,
  };
}
