/** The events of a short run, and what is shown of them. */

import { TrainView } from "../../cli/train_view.ts";
import { Ui } from "../../cli/ui.ts";
import { runConfig, type TrainEvent, type TrainSummary } from "../../mod.ts";
import type { RememberingTerminal } from "./terminal_fixture.ts";

export const step = (at: number): Extract<TrainEvent, { type: "step" }> => ({
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

export const scores = (loss: number, exactMatch: number) => ({
  loss,
  perplexity: Math.exp(loss),
  exactMatch,
  targetTokens: 10,
});

export const evaluation = (at: number, loss: number, exactMatch: number): TrainEvent => ({
  type: "eval",
  step: at,
  ...scores(loss, exactMatch),
  isBest: at > 0,
  elapsedS: at,
});

export const ENDING = {
  stoppedEarly: false,
  savedStep: 4,
  best: { step: 4, loss: 1 },
  elapsedS: 61,
  peakMemoryBytes: 3 * 2 ** 20,
};

export const EVENTS: TrainEvent[] = [
  {
    type: "opened",
    info: {
      host: "wasm",
      device: "cpu",
      deviceReason: "asked for",
      adapter: "A processor",
      threads: 1,
      precisions: ["f32"],
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
    precision: "f32",
    parameters: 100_000,
    trainable: 1_000,
  },
  { type: "reading", data: "train", examples: 256, done: 0 },
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
  { type: "checkpoint", step: 3, path: "runs/x/checkpoints/step-00000003", elapsedS: 9 },
  { type: "warning", message: "the disk is nearly full" },
  step(4),
  evaluation(4, 1, 0.9),
  { type: "done", step: 4, ...ENDING, output: "runs/x/adapter" },
];

export const SUMMARY: TrainSummary = {
  step: 4,
  ...ENDING,
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

export interface Shown {
  events?: readonly TrainEvent[];
  summary?: TrainSummary;
  json?: boolean;
}

export function show(
  terminal: RememberingTerminal,
  { events = EVENTS, summary = SUMMARY, json = false }: Shown = {},
): void {
  const resolved = runConfig({ model: "base", data: ["d"], out: "runs/x" });
  const view = new TrainView(new Ui(terminal, json), resolved);
  for (const event of events) view.show(event);
  view.finish(summary);
}
