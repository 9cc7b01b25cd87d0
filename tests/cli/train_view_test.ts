/** What people see of a run, from its events. */

import assert from "node:assert/strict";
import { progressLine, TrainView } from "../../cli/train_view.ts";
import { Ui } from "../../cli/ui.ts";
import { runConfig, type TrainEvent, type TrainSummary } from "../../mod.ts";
import { type RememberingTerminal, rememberingTerminal } from "./terminal_fixture.ts";

const step = (at: number): Extract<TrainEvent, { type: "step" }> => ({
  type: "step",
  step: at,
  totalSteps: 4,
  loss: 4 / at,
  lr: 0.0005,
  gradNorm: 1,
  tokens: 100,
  targetTokens: 50,
  tokensPerSecond: 1234.5,
  epoch: at / 4,
  elapsedS: at,
  etaSeconds: 4 - at,
  ...(at < 3 ? { nextReselection: 3 - at } : {}),
});

const scores = (loss: number, exactMatch: number) => ({
  loss,
  perplexity: Math.exp(loss),
  exactMatch,
  targetTokens: 10,
});

const evaluation = (at: number, loss: number, exactMatch: number): TrainEvent => ({
  type: "eval",
  step: at,
  ...scores(loss, exactMatch),
  isBest: at > 0,
  elapsedS: at,
});

const EVENTS: TrainEvent[] = [
  {
    type: "opened",
    info: {
      host: "wasm",
      device: "cpu",
      deviceReason: "asked for",
      adapter: "A processor",
      threads: 1,
      reason: "asked for",
      version: "1.2.3",
      formats: [],
    },
  },
  {
    type: "planned",
    memory: {
      rows: [{ purpose: "weights", bytes: 2048 }, { purpose: "deltas", bytes: 1024 }],
      totalBytes: 3072,
    },
    parameters: 100_000,
    trainable: 1_000,
  },
  { type: "reading", data: "train", examples: 256 },
  {
    type: "data",
    examples: 1000,
    tokens: 20000,
    targetTokens: 9000,
    truncated: 3,
    eval: { examples: 10, tokens: 200, targetTokens: 90, truncated: 0 },
    filled: 0.9765,
    totalSteps: 4,
  },
  { type: "evaluating", stage: "loss", done: 0, total: 10 },
  { type: "evaluating", stage: "loss", done: 7, total: 10 },
  { type: "evaluating", stage: "answers", done: 0, total: 1 },
  evaluation(0, 2, 0.1),
  step(1),
  step(2),
  { type: "reselect", step: 2, rate: 0.2, dropped: 200, grown: 190 },
  step(3),
  { type: "checkpoint", step: 3, path: "runs/x/checkpoints/step-00000003" },
  { type: "warning", message: "the disk is nearly full" },
  step(4),
  evaluation(4, 1, 0.9),
  { type: "done", step: 4, stoppedEarly: false, output: "runs/x/adapter", elapsedS: 61 },
];

const SUMMARY: TrainSummary = {
  step: 4,
  stoppedEarly: false,
  output: "runs/x/adapter",
  before: scores(2, 0.1),
  after: scores(1, 0.9),
  samples: [
    {
      prompt: `<|user|>\n${"long ago ".repeat(20)}?<|end|>`,
      expected: "4",
      before: "5",
      after: "4",
    },
    { prompt: "2+1", after: "3" },
  ],
};

interface Shown {
  events?: readonly TrainEvent[];
  summary?: TrainSummary;
  json?: boolean;
}

function show(
  terminal: RememberingTerminal,
  { events = EVENTS, summary = SUMMARY, json = false }: Shown = {},
): void {
  const resolved = runConfig({ model: "base", data: ["d"], out: "runs/x" });
  const view = new TrainView(new Ui(terminal, json), resolved);
  for (const event of events) view.show(event);
  view.finish(summary);
}

Deno.test("a run tells what it runs on, what it takes, and what came of it", () => {
  const terminal = rememberingTerminal();
  show(terminal);
  for (
    const words of [
      "spiel 1.2.3",
      "wasm (asked for)",
      "cpu: A processor, 1 thread",
      "base",
      "1,000 (1.00 %) by spiel-ag",
      "weights  2.0 KiB",
      "total    3.0 KiB",
      "train        1,000  20,000       9,000    3",
      "held-out        10     200          90    0",
      "\n4 steps; micro-batches are 97.65 % full\n",
      "evaluating 10 held-out examples\nanswering 1 held-out question\n",
      "step 0: held-out loss 2.0000, perplexity 7.39, exact match 10.00 %",
      "step 2: moved 190 deltas",
      "step 3: saved runs/x/checkpoints/step-00000003",
      "training loss by step",
      "done after 4 steps in 0.0 s",
      "held-out loss  2.0000 -> 1.0000",
      "question  ...",
      "long ago ?\n  before    5\n  after     4\n  right     4\n",
      "question  2+1\n  after     3\n",
      "exact match    10.00 % -> 90.00 %",
      "saved          runs/x/adapter",
      "report         runs/x/report.html",
    ]
  ) {
    assert.ok(terminal.out.includes(words), `${words} in\n${terminal.out}`);
  }
  assert.equal(terminal.err, "warning: the disk is nearly full\n");
});

Deno.test("where nobody reads along, progress comes now and then and at the end, in whole lines", () => {
  const terminal = rememberingTerminal();
  show(terminal);
  const shown = terminal.out.split("\n").filter((line) => line.includes("tok/s"));
  assert.deepEqual(shown, [progressLine(step(1)), progressLine(step(4))]);
  assert.ok(!terminal.out.includes("\r") && !terminal.out.includes("\x1b"));
});

Deno.test("on a terminal, progress is one line that is written over", () => {
  const terminal = rememberingTerminal({ interactive: true });
  show(terminal);
  for (const at of [1, 2, 3, 4]) {
    assert.ok(terminal.out.includes(`\r\x1b[2K${progressLine(step(at)).slice(0, 79)}`));
  }
  assert.ok(!terminal.out.includes(`${progressLine(step(1))}\n`));
  assert.ok(terminal.out.includes("\r\x1b[2Kreading the train data: 256\r"));
  assert.ok(terminal.out.includes("\r\x1b[2Kevaluating 7/10\r"));
  assert.ok(!terminal.out.includes("evaluating 10 held-out examples"));
});

Deno.test("standard output stays free for programs", () => {
  const terminal = rememberingTerminal();
  show(terminal, { json: true });
  assert.equal(terminal.out, "");
  assert.ok(terminal.err.includes("done after 4 steps"));
});

Deno.test("one step in one line, with the reselection as long as one is to come", () => {
  assert.equal(
    progressLine(step(1)),
    "step 1/4  loss 4.0000  lr 5.0e-4  1,235 tok/s  ETA 3.0 s  reselects in 2",
  );
  assert.equal(
    progressLine(step(4)),
    "step 4/4  loss 1.0000  lr 5.0e-4  1,235 tok/s  ETA 0.0 s",
  );
});

Deno.test("a dry run says that nothing was trained", () => {
  const terminal = rememberingTerminal();
  show(terminal, {
    events: EVENTS.slice(0, 3),
    summary: { step: 0, stoppedEarly: false, samples: [] },
  });
  assert.match(terminal.out, /dry run: nothing was trained\n$/);
});
