/**
 * The learning rate of every step, as a factor of its peak.
 *
 * Update s, from 1, of N has the factor lambda(s - 1), with W warm-up steps: lambda(t) = (t + 1) / W for t < W, and the
 * shape at progress (t - W) / (N - W) from there on.
 *
 * The Hugging Face Trainer has the same decay, but warms up by t / W, so that its first update is zero and changes
 * nothing; ours are one step ahead, and reach the peak at update W instead of W + 1. Its W from a ratio is rounded up,
 * ours down, to at least one. The script that made the reference's recorded losses warms up as ours does, but decays
 * over the whole run, by (N - t) / N, so that its peak is a little under one.
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
