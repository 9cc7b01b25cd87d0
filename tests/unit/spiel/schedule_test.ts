/** The calendar against the reference's own events, and its edges. */

import assert from "node:assert/strict";
import {
  actionsAfter,
  nextReselection,
  type ScheduleConfig,
  scheduleProblem,
  shortRunWarning,
  windowIsOpen,
} from "../../../src/spiel/schedule.ts";
import { allotDeltas } from "../../../src/spiel/budget.ts";
import { GROWTHS } from "../../../src/spiel/growth/mod.ts";

interface Trace {
  sft_config: {
    selection_algorithm: string;
    reselection_steps: number;
    selection_accumulation_steps: number;
    reselection_rate_policy: "linear" | "cosine";
    initial_reselection_rate: number;
    density: number;
  };
  hyperparameters: { steps: number };
  events: {
    step: number;
    hooks_installed_during_step: boolean;
    reselected_after_step: boolean;
    hooks_installed_after_step: boolean;
  }[];
  reselections: Record<string, { p: number }>;
  modules_in_optimizer_order: string[];
  k: Record<string, number>;
  shape: Record<string, [number, number]>;
}

const FOLDER = new URL("../../golden/", import.meta.url);

function readTrace(name: string): Trace {
  return JSON.parse(Deno.readTextFileSync(new URL(`${name}/trace.json`, FOLDER)));
}

function scheduleOf({ sft_config: sft, hyperparameters }: Trace): ScheduleConfig {
  return {
    totalSteps: hyperparameters.steps,
    reselectionSteps: sft.reselection_steps,
    selectionAccumulationSteps: sft.selection_accumulation_steps,
    initialReselectionRate: sft.initial_reselection_rate,
    reselectionRatePolicy: sft.reselection_rate_policy,
    firstReplacesAll: true,
  };
}

for (const name of ["sft_trace_ag", "sft_trace_ma"]) {
  Deno.test(`schedule: the events and proportions of ${name}`, () => {
    const trace = readTrace(name);
    const config = scheduleOf(trace);
    const growth = GROWTHS.find((one) =>
      one.selectionAlgorithm === trace.sft_config.selection_algorithm
    );
    assert.ok(growth);
    assert.equal(trace.events.length, config.totalSteps);
    for (const event of trace.events) {
      const c = event.step;
      const { reselect } = actionsAfter(c, config);
      assert.equal(reselect !== null, event.reselected_after_step, `reselected after step ${c}`);
      assert.equal(
        reselect?.rate,
        trace.reselections[String(c)]?.p,
        `share replaced after step ${c}`,
      );
      const during: boolean = growth.needsWindow && windowIsOpen(c - 1, config);
      const after: boolean = growth.needsWindow && windowIsOpen(c, config);
      // The reference also opens a last window, drops it at the end, and nothing comes of it.
      const reselects = (from: number) =>
        trace.events.some((later) => later.step >= from && later.reselected_after_step);
      assert.equal(
        during,
        event.hooks_installed_during_step && reselects(c),
        `window during step ${c}`,
      );
      assert.equal(
        after,
        event.hooks_installed_after_step && reselects(c + 1),
        `window after step ${c}`,
      );
    }
  });

  Deno.test(`budget: the deltas of every module of ${name}`, () => {
    const trace = readTrace(name);
    const tensors = trace.modules_in_optimizer_order.map((module) => ({
      name: `${module}.weight`,
      shape: trace.shape[module] ?? [],
      format: "f32" as const,
      deltaModule: module,
    }));
    // tiny_llama: two 256 x 64 embeddings, two blocks with two norms, a final norm.
    const projections = tensors.reduce(
      (sum, { shape }) => sum + (shape[0] ?? 0) * (shape[1] ?? 0),
      0,
    );
    const model = { parameters: projections + 2 * 256 * 64 + 5 * 64, tensors };
    const counts = allotDeltas(model, { density: trace.sft_config.density }, [
      "q_proj",
      "k_proj",
      "v_proj",
      "o_proj",
      "gate_proj",
      "up_proj",
      "down_proj",
    ]);
    assert.deepEqual(
      Object.fromEntries(counts.map(({ module, count }) => [module, count])),
      trace.k,
    );
  });
}

Deno.test("schedule: begin and end of windows alternate and agree with windowIsOpen", () => {
  for (
    const [reselectionSteps, selectionAccumulationSteps] of [[3, 1], [6, 2], [6, 4], [
      20,
      5,
    ]] as const
  ) {
    const config: ScheduleConfig = {
      totalSteps: 100,
      reselectionSteps,
      selectionAccumulationSteps,
      initialReselectionRate: 0.2,
      reselectionRatePolicy: "linear",
      firstReplacesAll: true,
    };
    let open = false;
    for (let c = 0; c < 100; c++) {
      const { candidatesBegin, reselect } = actionsAfter(c, config);
      if (candidatesBegin) {
        assert.equal(open, false);
        open = true;
      }
      if (reselect !== null) {
        assert.equal(open, true);
        open = false;
      }
      assert.equal(open, windowIsOpen(c, config), `window after step ${c}`);
    }
    assert.equal(open, false, "no window is left open");
  }
});

Deno.test("schedule: nextReselection finds exactly the steps that reselect", () => {
  const config: ScheduleConfig = {
    totalSteps: 41,
    reselectionSteps: 7,
    selectionAccumulationSteps: 3,
    initialReselectionRate: 0.2,
    reselectionRatePolicy: "cosine",
    firstReplacesAll: true,
  };
  for (let step = 0; step <= 41; step++) {
    let expected: number | null = null;
    for (let c = step + 1; c <= 41 && expected === null; c++) {
      if (actionsAfter(c, config).reselect !== null) expected = c;
    }
    assert.equal(nextReselection(step, config), expected, `after step ${step}`);
  }
});

Deno.test("schedule: cosine starts near the initial rate, without a first full replacement", () => {
  const config: ScheduleConfig = {
    totalSteps: 24,
    reselectionSteps: 6,
    selectionAccumulationSteps: 2,
    initialReselectionRate: 0.2,
    reselectionRatePolicy: "cosine",
    firstReplacesAll: true,
  };
  assert.equal(actionsAfter(2, config).reselect?.rate, 0.2 * (1 + Math.cos(Math.PI * 2 / 24)) / 2);
  assert.equal(actionsAfter(8, config).reselect?.rate, 0.2 * (1 + Math.cos(Math.PI * 8 / 24)) / 2);
});

Deno.test("schedule: the first reselection replaces all new deltas, and no trained ones", () => {
  const rates = [
    ["linear", true, 1, 0.2 * (1 - 8 / 24)],
    ["linear", false, 0.2 * (1 - 2 / 24), 0.2 * (1 - 8 / 24)],
    ["cosine", true, 0.1 * (1 + Math.cos(Math.PI / 12)), 0.1 * (1 + Math.cos(Math.PI / 3))],
    ["cosine", false, 0.1 * (1 + Math.cos(Math.PI / 12)), 0.1 * (1 + Math.cos(Math.PI / 3))],
  ] as const;
  for (const [reselectionRatePolicy, firstReplacesAll, first, second] of rates) {
    const config: ScheduleConfig = {
      totalSteps: 24,
      reselectionSteps: 6,
      selectionAccumulationSteps: 2,
      initialReselectionRate: 0.2,
      reselectionRatePolicy,
      firstReplacesAll,
    };
    for (const [step, expected] of [[2, first], [8, second]] as const) {
      const rate = actionsAfter(step, config).reselect?.rate ?? NaN;
      assert.ok(Math.abs(rate - expected) < 1e-12, `${reselectionRatePolicy} ${step}: ${rate}`);
    }
  }
});

Deno.test("schedule: a window opens only where its reselection comes before the run's end", () => {
  const opened = (totalSteps: number) => {
    const config: ScheduleConfig = {
      totalSteps,
      reselectionSteps: 6,
      selectionAccumulationSteps: 2,
      initialReselectionRate: 0.2,
      reselectionRatePolicy: "linear",
      firstReplacesAll: true,
    };
    const steps = Array.from({ length: totalSteps + 1 }, (_, c) => c);
    return steps.filter((c) => actionsAfter(c, config).candidatesBegin);
  };
  assert.deepEqual([1, 2, 3, 8, 9, 14, 15].map(opened), [
    ...[[], [], [0], [0], [0, 5], [0, 5], [0, 5, 11]],
  ]);
});

Deno.test("schedule: nothing is reselected after the last step", () => {
  const config: ScheduleConfig = {
    totalSteps: 2,
    reselectionSteps: 6,
    selectionAccumulationSteps: 2,
    initialReselectionRate: 0.2,
    reselectionRatePolicy: "linear",
    firstReplacesAll: true,
  };
  assert.equal(actionsAfter(2, config).reselect, null);
  assert.equal(nextReselection(0, config), null);
});

Deno.test("schedule: a calendar that cannot be kept is refused with ones that can", () => {
  const problem = (R: number, A: number, needsWindow: boolean) =>
    scheduleProblem({ reselectionSteps: R, selectionAccumulationSteps: A }, needsWindow);
  for (const [needsWindow, spare] of [[true, 2], [false, 1]] as const) {
    for (let R = 1; R < 9; R++) {
      for (let A = 1; A < 9; A++) {
        const words = problem(R, A, needsWindow);
        assert.equal(words === null, A <= R - spare, `${R} ${A}: ${words}`);
        if (words === null) continue;
        const [, largest] = /at most (\d+), or/.exec(words) ?? [];
        assert.equal(largest, R > spare ? String(R - spare) : undefined);
        const [, period] = /reselection_steps of at least (\d+)$/.exec(words) ?? [];
        assert.equal(problem(Number(period), A, needsWindow), null, words);
      }
    }
  }
});

/** The reference's calendar in a run of N steps. */
const defaults = (totalSteps: number): ScheduleConfig => ({
  totalSteps,
  reselectionSteps: 20,
  selectionAccumulationSteps: 5,
  initialReselectionRate: 0.2,
  reselectionRatePolicy: "linear",
  firstReplacesAll: true,
});

const SHORT: [title: string, config: ScheduleConfig, words: RegExp | null][] = [
  ["as long as the window", defaults(5), /5 steps, .* after step 5 .*: .* random .*steps 1 moves /],
  ["one step", defaults(1), /run of 1 step, .*: they are trained at random positions; more steps/],
  ["from an adapter", { ...defaults(4), firstReplacesAll: false }, /they are trained where they/],
  [
    "one step too long",
    defaults(6),
    /after step 5 .* zero again, with 1 step left .*steps 1 moves/,
  ],
  [
    "nearly two windows",
    defaults(9),
    /with 4 steps left to train them; .*steps 2 moves .* earlier/,
  ],
  ["two windows", defaults(10), null],
  ["moved in part", { ...defaults(6), reselectionRatePolicy: "cosine" }, null],
  ["moved in part, from an adapter", { ...defaults(6), firstReplacesAll: false }, null],
  ["a short window", { ...defaults(3), selectionAccumulationSteps: 1 }, null],
];

for (const [title, config, words] of SHORT) {
  Deno.test(`a run that is ${title} ${words === null ? "is no matter" : "is warned of"}`, () => {
    const warning = shortRunWarning(config);
    if (words === null) assert.equal(warning, null);
    else assert.match(warning ?? "", words);
    // What is advised is accepted, and leaves nothing to warn of.
    const advised = /--selection-accumulation-steps (\d+)/.exec(warning ?? "")?.[1];
    const better = { ...config, selectionAccumulationSteps: Number(advised ?? 1) };
    assert.equal(scheduleProblem(better, true), null);
    if (advised !== undefined) assert.equal(shortRunWarning(better), null);
  });
}
