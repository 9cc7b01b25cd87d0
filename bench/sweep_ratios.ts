/** How a step's cost grows along a sweep, and what the choice of candidates costs, of what was measured in rounds. */

import { type ScheduleConfig, windowIsOpen } from "../src/spiel/schedule.ts";
import { median, round } from "./statistics.ts";

/** Configurations whose steps are compared with those of another. */
export interface Sweep {
  readonly name: string;
  readonly of: readonly string[];
  readonly to: string;
  /** The largest ratio that is aimed at. */
  readonly most: number;
}

/** Density, length at equal tokens, no stored activations, and the form of the base. */
export const SWEEPS: readonly Sweep[] = [
  {
    name: "density",
    of: ["spiel-ag-1%/4x256/stored", "spiel-ag-2.4%/4x256/stored", "spiel-ag-5%/4x256/stored"],
    to: "spiel-ag-0.1%/4x256/stored",
    most: 1.25,
  },
  {
    name: "length",
    of: ["spiel-ag-1%/1x2048/stored"],
    to: "spiel-ag-1%/8x256/stored",
    most: 1.3,
  },
  {
    name: "checkpointing",
    of: ["spiel-ag-1%-block/4x256/stored"],
    to: "spiel-ag-1%/4x256/stored",
    most: 1.3,
  },
  {
    name: "base",
    of: ["stored", "q8_0", "nf4"].map((base) => `spiel-ag-1%/4x256/${base}`),
    to: "spiel-ag-1%/4x256/bf16",
    most: 1.1,
  },
  {
    name: "bf16",
    of: ["spiel-ag-1%/4x256/bf16"],
    to: "spiel-ag-1%/4x256/f32",
    most: 1.1,
  },
];

/** Steps out of a window and in one, whose first chooses candidates. */
export const SELECTION = {
  other: "spiel-ag-1%/4x256/stored",
  window: "spiel-ag-1%-window/4x256/stored",
  /** The largest share of the time that is aimed at. */
  most: 0.03,
} as const;

/** What a configuration took in one round. */
export interface Taken {
  readonly seconds: number;
  /** Of the step that chooses candidates; only of those with a window. */
  readonly candidateSeconds?: number | undefined;
}

/** By the name of the configuration. */
export type Round = ReadonlyMap<string, Taken>;

/** All configurations of the sweeps, each once. */
export function sweptNames(): string[] {
  const { other, window } = SELECTION;
  return [...new Set([...SWEEPS.flatMap(({ of, to }) => [to, ...of]), other, window])];
}

/** Medians of each round's own ratios; `null` where none has both. */
export function ratiosOf({ name: sweep, of, to, most }: Sweep, rounds: readonly Round[]) {
  const ratio = (name: string) => {
    const ratios = rounds.flatMap((round) => {
      const [one, other] = [round.get(name), round.get(to)];
      return one === undefined || other === undefined ? [] : [one.seconds / other.seconds];
    });
    return ratios.length === 0 ? null : round(median(ratios));
  };
  return { sweep, to, ratios: Object.fromEntries(of.map((name) => [name, ratio(name)])), most };
}

/** When a window is open, and the micro-batches of a step. */
export interface Calendar extends ScheduleConfig {
  readonly gradientAccumulationSteps: number;
}

/**
 * The share of a period between reselections that goes into choosing candidates: what the micro-batch that does takes
 * more than the window's others, over all micro-batches of the period.
 */
export function selectionOf(rounds: readonly Round[], calendar: Calendar) {
  const { reselectionSteps: period, gradientAccumulationSteps: perStep } = calendar;
  // The first window is shorter than all others.
  const isOpen = Array.from(
    { length: period },
    (_, i) => windowIsOpen(2 * period - 1 + i, calendar),
  );
  const inWindow = perStep * isOpen.filter((open) => open).length;
  const others = perStep * period - inWindow;
  const seconds = (name: string, part: keyof Taken = "seconds") =>
    median(rounds.flatMap((round) => round.get(name)?.[part] ?? []));
  const candidates = seconds(SELECTION.window, "candidateSeconds");
  const window = seconds(SELECTION.window);
  const other = seconds(SELECTION.other);
  const whole = candidates + (inWindow - 1) * window + others * other;
  return {
    sweep: "selection",
    ...{ candidate_seconds: candidates, window_seconds: window, other_seconds: other },
    ...{ window_micro_batches: inWindow, period_micro_batches: inWindow + others },
    share: round((candidates - window) / whole),
    most: SELECTION.most,
  };
}
