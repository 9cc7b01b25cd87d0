/** The sweeps: they name configurations that there are, compare within a round, and weigh candidates by the calendar. */

import assert from "node:assert/strict";
import { CONFIGURATIONS } from "../../../bench/configurations.ts";
import {
  type Calendar,
  ratiosOf,
  type Round,
  SELECTION,
  selectionOf,
  SWEEPS,
  sweptNames,
} from "../../../bench/sweep_ratios.ts";

const CALENDAR: Calendar = {
  ...{ totalSteps: Infinity, reselectionSteps: 20, selectionAccumulationSteps: 5 },
  ...{ initialReselectionRate: 0.2, reselectionRatePolicy: "linear", firstReplacesAll: true },
  gradientAccumulationSteps: 1,
};

Deno.test("sweeps are of configurations that there are, each measured once", () => {
  const names = sweptNames();
  assert.equal(new Set(names).size, names.length);
  for (const name of names) assert.ok(CONFIGURATIONS.some((one) => one.name === name), name);
  // At equal tokens.
  for (const { of, to } of SWEEPS) {
    const tokens = [to, ...of].map((name) => {
      const [, sequences, length] = /\/(\d+)x(\d+)\//.exec(name)!;
      return Number(sequences) * Number(length);
    });
    assert.equal(new Set(tokens).size, 1, to);
  }
});

Deno.test("a ratio is of one round's steps, and the middle one of all rounds", () => {
  const sweep = { name: "density", of: ["b", "c"], to: "a", most: 1.25 };
  // A machine that slows down.
  const rounds: Round[] = [[1, 1.1, 2], [2, 2.4, 4], [10, 13, 11]].map(([a, b, c]) =>
    new Map([["a", { seconds: a! }], ["b", { seconds: b! }], ["c", { seconds: c! }]])
  );
  assert.deepEqual(ratiosOf(sweep, rounds), {
    ...{ sweep: "density", to: "a", most: 1.25 },
    ratios: { b: 1.2, c: 2 },
  });
});

Deno.test("what could not be measured has no ratio", () => {
  const sweep = { name: "base", of: ["b", "c"], to: "a", most: 1.1 };
  const rounds: Round[] = [new Map([["a", { seconds: 2 }], ["b", { seconds: 3 }]])];
  assert.deepEqual(ratiosOf(sweep, rounds).ratios, { b: 1.5, c: null });
  assert.ok(Number.isNaN(selectionOf(rounds, CALENDAR).share));
});

Deno.test("candidates are weighed by the micro-batches of a period", () => {
  const round: Round = new Map([
    [SELECTION.other, { seconds: 2 }],
    [SELECTION.window, { seconds: 3, candidateSeconds: 5 }],
  ]);
  const found = selectionOf([round], CALENDAR);
  // The window takes 6 of 20 steps: 5 + 5 * 3 + 14 * 2 seconds, of which 2 would not be there without candidates.
  assert.deepEqual([found.window_micro_batches, found.period_micro_batches], [6, 20]);
  assert.equal(found.share, Number((2 / 48).toPrecision(4)));
  const twice = selectionOf([round], { ...CALENDAR, gradientAccumulationSteps: 2 });
  assert.deepEqual([twice.window_micro_batches, twice.period_micro_batches], [12, 40]);
  assert.equal(twice.share, Number((2 / (5 + 11 * 3 + 28 * 2)).toPrecision(4)));
});
