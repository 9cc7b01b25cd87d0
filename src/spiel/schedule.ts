/**
 * SpIEL's calendar as a pure function: what happens once c steps are complete, the optimiser's update included.
 *
 * With R = `reselectionSteps` and A = `selectionAccumulationSteps`, the first window takes steps 1 to A; later ones take
 * steps nR to nR + A, which is one step more, as in the reference. Deltas are reselected after step nR + A.
 */

/** The configuration that the calendar depends on. */
export interface ScheduleConfig {
  /** N, the steps of the whole run. */
  readonly totalSteps: number;
  /** R, steps between two reselections. */
  readonly reselectionSteps: number;
  /** A, steps from a window's start to its reselection, as the reference counts them. */
  readonly selectionAccumulationSteps: number;
  /** Share of the deltas to replace, 0 to 1, before the policy shrinks it. */
  readonly initialReselectionRate: number;
  /** How the share falls over the run. */
  readonly reselectionRatePolicy: "linear" | "cosine";
  /** Whether under `linear` the very first reselection asks for everything, which no trained deltas should suffer. */
  readonly firstReplacesAll: boolean;
}

/** What to do after a step, in this order. */
export interface StepActions {
  /** Open a selection window (growth criteria that need one). */
  readonly candidatesBegin: boolean;
  /** Replace this share of the deltas, then close the window. */
  readonly reselect: { readonly rate: number } | null;
}

/**
 * What is wrong with a calendar: words that follow `selection_accumulation_steps`, or `null`.
 *
 * @param needsWindow Whether the growth criterion measures in windows, between which there must be a step without one.
 */
export function scheduleProblem(
  { reselectionSteps: R, selectionAccumulationSteps: A }: Pick<
    ScheduleConfig,
    "reselectionSteps" | "selectionAccumulationSteps"
  >,
  needsWindow: boolean,
): string | null {
  const spare = needsWindow ? 2 : 1;
  if (A >= 1 && A <= R - spare) return null;
  const reason = needsWindow
    ? "a window opens one step before each multiple of reselection_steps and must close before the next one opens"
    : "deltas are reselected that many steps after each multiple of reselection_steps, and before the next";
  const largest = R > spare ? `at most ${R - spare}, or ` : "";
  return `is ${A}, which does not fit reselection_steps ${R}: ${reason}; ` +
    `expected ${largest}reselection_steps of at least ${Math.max(1, A) + spare}`;
}

/**
 * What to do once `c` steps are complete; c = 0 is before the first step.
 *
 * Nothing is reselected after the last step, where the reference would trade trained deltas for zeros.
 */
export function actionsAfter(c: number, config: ScheduleConfig): StepActions {
  const { reselectionSteps: R, selectionAccumulationSteps: A, totalSteps: N } = config;
  const reselects = c > 0 && c < N && c % R === A;
  return {
    candidatesBegin: (c === 0 || (c + 1) % R === 0) && windowIsOpen(c, config),
    reselect: reselects ? { rate: reselectionRate(c, config) } : null,
  };
}

/**
 * Whether a selection window is open once `c` steps are complete and their actions are taken. One without a
 * reselection before the run's end is never opened: it would take time and leave no trace.
 */
export function windowIsOpen(c: number, config: ScheduleConfig): boolean {
  const next = nextReselection(c, config);
  return next !== null && next - c <= config.selectionAccumulationSteps + 1;
}

/** The first step after `step` that ends with a reselection, or `null` when there is none left. */
export function nextReselection(step: number, config: ScheduleConfig): number | null {
  const { reselectionSteps: R, selectionAccumulationSteps: A, totalSteps: N } = config;
  const next = step < A ? A : A + R * (Math.floor((step - A) / R) + 1);
  return next < N ? next : null;
}

/**
 * What is wrong with a run that ends before its calendar can do it good: a sentence for people, or `null`.
 *
 * The window's default is the reference's, which a run of few steps is too short for.
 */
export function shortRunWarning(config: ScheduleConfig): string | null {
  const { selectionAccumulationSteps: A, totalSteps: N } = config;
  const left = N - A;
  // As long a part of the run as the default window is of its period.
  const fitting = Math.max(1, Math.floor(N / 4));
  const remedy = fitting < A && fitting < N
    ? `--selection-accumulation-steps ${fitting} moves them ${left > 0 ? "earlier" : "in time"}`
    : "more steps help";
  const steps = N === 1 ? "1 step" : `${N} steps`;
  if (left <= 0) {
    const where = config.firstReplacesAll ? "at random positions" : "where they are";
    return `No deltas are moved in this run of ${steps}, as the first reselection would come after step ${A} ` +
      `(selection_accumulation_steps): they are trained ${where}; ${remedy}`;
  }
  if (left >= A || reselectionRate(A, config) < 1) return null;
  return `The deltas of this run of ${steps} are moved after step ${A} (selection_accumulation_steps) and begin ` +
    `at zero again, with ${left === 1 ? "1 step" : `${left} steps`} left to train them; ${remedy}`;
}

function reselectionRate(c: number, config: ScheduleConfig): number {
  const progress = c / config.totalSteps;
  if (config.reselectionRatePolicy === "cosine") {
    return config.initialReselectionRate * (1 + Math.cos(Math.PI * progress)) / 2;
  }
  const isFirst = c === config.selectionAccumulationSteps;
  return isFirst && config.firstReplacesAll ? 1 : config.initialReselectionRate * (1 - progress);
}
