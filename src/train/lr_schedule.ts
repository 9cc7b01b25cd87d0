/**
 * The learning rate of every step, as a factor of its peak.
 *
 * Update s (from 1) of N uses lambda(s - 1), as in the Hugging Face Trainer, where
 * lambda(t) = min(1, (t + 1) / W) * shape, with W warm-up steps. The warm-up starts at 1 / W, not at 0: a first update
 * of zero would only waste a batch. After it, `linear` and `cosine` fall over t = W to N and would reach 0 at t = N,
 * one past the last update, so that no update is wasted there either.
 */

/** The name of a schedule. */
export type LrScheduleName = "constant" | "linear" | "cosine";

/** The shape of a schedule after its warm-up: a factor for a progress of 0 up to, not including, 1. */
type Shape = (progress: number) => number;

const SHAPES = {
  constant: () => 1,
  linear: (progress) => 1 - progress,
  cosine: (progress) => (1 + Math.cos(Math.PI * progress)) / 2,
} as const satisfies Record<LrScheduleName, Shape>;

/** Every schedule's name. */
export const LR_SCHEDULES = Object.keys(SHAPES) as readonly LrScheduleName[];

/** What a learning rate depends on. */
export interface LrScheduleConfig {
  /** The peak. */
  readonly lr: number;
  /** The shape after the warm-up. */
  readonly schedule: LrScheduleName;
  /** W, steps in which the rate rises. */
  readonly warmupSteps: number;
  /** N, steps of the whole run. */
  readonly totalSteps: number;
}

/** The learning rate of update `step`, counted from 1. */
export function learningRate(step: number, config: LrScheduleConfig): number {
  const { lr, schedule, warmupSteps, totalSteps } = config;
  const t = step - 1;
  if (t < warmupSteps) return lr * (t + 1) / warmupSteps;
  return lr * SHAPES[schedule]((t - warmupSteps) / Math.max(1, totalSteps - warmupSteps));
}

/** W from a share of the steps: whole steps, at least one unless the share is zero. */
export function warmupStepsOf(ratio: number, totalSteps: number): number {
  return ratio === 0 ? 0 : Math.max(1, Math.trunc(ratio * totalSteps));
}
