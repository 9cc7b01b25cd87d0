/** The numbers that the training loop needs, out of a run's configuration. */

import { SpielError } from "../errors.ts";
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
  /** Micro-batches of the whole run, of which the last step takes what is left; G in every step when absent. */
  readonly totalMicroBatches?: number;
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
  /** Whether the state of the best evaluation is saved when `saveEvery` is 0 too. */
  readonly savesBest: boolean;
  /** Steps between checkpoints, and the best state is saved besides; 0 saves after the last step only. */
  readonly saveEvery: number;
}

/** What the loop's options depend on besides the configuration. */
export interface RunLength {
  /** N, optimiser steps. */
  readonly totalSteps: number;
  /** Micro-batches of all steps. */
  readonly totalMicroBatches: number;
}

/**
 * The loop's options for a run of a known length on a model with a vocabulary.
 *
 * @throws {SpielError} `usage` when the warm-up does not end before the run.
 */
export function trainerOptions(
  config: RunConfig,
  { totalSteps, totalMicroBatches }: RunLength,
  vocabulary: number,
): TrainerOptions {
  const growth = growthOf(config.method);
  if (config.warmupSteps !== undefined && config.warmupSteps >= totalSteps) {
    throw new SpielError(
      "usage",
      `warmup_steps is ${config.warmupSteps}; expected fewer than the ${totalSteps} steps that epochs ` +
        `${config.epochs} of this data are`,
    );
  }
  return {
    totalSteps,
    totalMicroBatches,
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
    savesBest: config.result === "best",
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
