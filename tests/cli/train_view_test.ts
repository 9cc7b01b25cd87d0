/** What people see of a run, from its events. */

import assert from "node:assert/strict";
import { PlanRecord } from "../../cli/plan.ts";
import { progressLine, TrainView } from "../../cli/train_view.ts";
import { Ui } from "../../cli/ui.ts";
import { type MetricsEvent, runConfig, type RunOptions, type TrainEvent } from "../../mod.ts";
import { rememberingTerminal } from "./terminal_fixture.ts";
import { ENDING, evaluation, EVENTS, scores, show, step, SUMMARY } from "./train_events_fixture.ts";

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
      "done after 4 steps in 1 m 01 s\n",
      "peak memory    3.0 MiB",
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
    summary: { step: 0, ...ENDING, samples: [] },
  });
  assert.match(terminal.out, /dry run: nothing was trained\n$/);
});

/** What a run measured before it was stopped after step 2. */
const HISTORY: MetricsEvent[] = [
  {
    event: "eval",
    step: 0,
    loss: 2,
    perplexity: 7.39,
    exact_match: 0.1,
    target_tokens: 90,
    elapsed_s: 0.5,
  },
  ...[1, 2].map((at) => ({
    event: "step" as const,
    step: at,
    loss: 8 / at,
    lr: 0.1,
    grad_norm: 1,
    tokens: 100,
    target_tokens: 50,
    tokens_per_second: 9,
    epoch: 0,
    elapsed_s: 30 * at,
  })),
];

const RESUMED: TrainEvent = {
  type: "resumed",
  step: 2,
  path: "runs/x/checkpoints/step-00000002",
  history: HISTORY,
  elapsedS: 60,
};

Deno.test("a resumed run is shown as a whole", () => {
  const terminal = rememberingTerminal();
  const events = [...EVENTS.slice(0, 4), RESUMED, step(3), step(4), evaluation(4, 1, 0.9)];
  show(terminal, { events });
  for (
    const words of [
      "resumed after step 2 from runs/x/checkpoints/step-00000002, 1 m 00 s into the run\n",
      "\nstep 0: held-out loss 2.0000, perplexity 7.39, exact match 10.00 %\n",
      "   8.000 | *\n",
      "   1.000 |   **\n           1   4\n",
      "done after 4 steps in 1 m 01 s, resumed after step 2\n",
    ]
  ) {
    assert.ok(terminal.out.includes(words), `${words} in\n${terminal.out}`);
  }
});

Deno.test("of many earlier evaluations the first and the last ones are shown", () => {
  const terminal = rememberingTerminal();
  const [first] = HISTORY;
  assert.ok(first?.event === "eval");
  const history = Array.from({ length: 9 }, (_, at) => ({ ...first, step: at }));
  show(terminal, { events: [{ ...RESUMED, history, step: 8 }] });
  const shown = [...terminal.out.matchAll(/^step (\d): held-out|^\.\.\.$/gm)];
  assert.deepEqual(shown.map(([, at]) => at), ["0", undefined, "5", "6", "7", "8"]);
});

Deno.test("what training made worse is called so, and never the best", () => {
  const terminal = rememberingTerminal();
  const worse: TrainEvent = { ...evaluation(4, 3, 0), isBest: false } as TrainEvent;
  show(terminal, {
    events: [evaluation(0, 2, 0.1), step(4), worse],
    summary: {
      ...SUMMARY,
      best: { step: 2, loss: 1.5 },
      before: scores(2, 0.1),
      after: scores(3, 0),
    },
  });
  assert.match(terminal.out, /step 4: held-out loss 3.0000, .*, worse than untrained\n/);
  assert.match(terminal.out, /held-out loss +2.0000 -> 3.0000, worse than untrained\n/);
  assert.ok(!terminal.out.includes("best so far"));
});

const WAYS: [title: string, options: Partial<RunOptions>, words: string][] = [
  ["kept", {}, "the same command with --resume --result best saves that of step 2"],
  ["gone", { saveEvery: 0 }, "it was not saved; a run with --result best saves it"],
  ["damaged", { result: "best" }, "its checkpoint is lost"],
];

for (const [title, options, words] of WAYS) {
  Deno.test(`a best state that is not what was saved and is ${title} comes with what helps`, () => {
    const terminal = rememberingTerminal();
    const [before, after] = [scores(2, 0.1), scores(1.7, 0)];
    const summary = { ...SUMMARY, best: { step: 2, loss: 1.5 }, before, after };
    const resolved = runConfig({ model: "m", data: ["d"], evalData: ["e"], ...options });
    new TrainView(new Ui(terminal, false), resolved).finish(summary);
    assert.ok(terminal.out.includes(`1.5000 at step 2; ${words}\n`), terminal.out);
  });
}

Deno.test("a dry run that is stopped has nothing to save or lose", () => {
  const resolved = runConfig({ model: "base", data: ["d"], dryRun: true });
  const view = new TrainView(new Ui(rememberingTerminal(), false), resolved);
  for (const event of EVENTS.filter(({ type }) => type === "data")) view.show(event);
  assert.equal(view.stopping, "stopping; interrupt again to stop at once");
  assert.equal(view.farewell, "stopped: at once");
});

Deno.test("an interrupt speaks of saving only once the data is read", () => {
  const resolved = runConfig({ model: "base", data: ["d"] });
  const view = new TrainView(new Ui(rememberingTerminal(), false), resolved);
  const data = EVENTS.findIndex((event) => event.type === "data");
  for (const event of EVENTS.slice(0, data)) view.show(event);
  assert.equal(view.stopping, "stopping; interrupt again to stop at once");
  assert.equal(view.farewell, "stopped: at once");
  view.show(EVENTS[data]!);
  assert.match(view.stopping, /^stopping after this step and saving; .*, unsaved$/);
});

Deno.test("a stop at once says what is lost and how the run goes on", () => {
  const farewell = (logEvery: number, events: TrainEvent[]) => {
    const resolved = runConfig({ model: "base", data: ["d"], out: "runs/x", logEvery });
    const view = new TrainView(new Ui(rememberingTerminal(), false), resolved);
    for (const event of [...EVENTS.filter(({ type }) => type === "data"), ...events]) {
      view.show(event);
    }
    return view.farewell;
  };
  const farewellAfter = (...events: TrainEvent[]) => farewell(1, events);
  const saved: TrainEvent = { type: "checkpoint", step: 1, path: "p", elapsedS: 1 };
  assert.equal(farewellAfter(), "stopped: at once; nothing that was trained is lost");
  assert.equal(
    farewellAfter(step(1)),
    "stopped: at once; 1 step is lost, as nothing was saved yet",
  );
  assert.equal(
    farewellAfter(step(1), saved, step(2), step(3)),
    "stopped: at once; 2 steps since the checkpoint of step 1 are lost, " +
      "and the same command with --resume goes on from there",
  );
  assert.match(farewellAfter(RESUMED, step(3)), /1 step since the checkpoint of step 2 is lost/);
  assert.match(farewellAfter(step(1), saved), /nothing that was trained is lost/);
  // Of steps between two lines of metrics nothing is known.
  const later: TrainEvent = { ...saved, step: 3 };
  for (const events of [[step(2), later], [step(2), later, step(4)]]) {
    assert.match(farewell(2, events), /the steps since the checkpoint of step 3 are lost, and the/);
  }
  assert.match(farewell(2, []), /all steps are lost, as nothing was saved yet$/);
});

Deno.test("a plan for programs has all that a dry run tells people", () => {
  const plan = new PlanRecord(runConfig({ model: "base", data: ["d"], out: "runs/x" }));
  assert.equal(plan.json, undefined);
  const text = [{ text: "2+2=", trained: false }, { text: "4", trained: true }];
  const sources = [{ name: "d", examples: 1000, drawn: 1000 }];
  for (const event of EVENTS.slice(0, 4)) {
    plan.note(event.type === "data" ? { ...event, mixture: sources } : event);
  }
  plan.note({ type: "example", where: "d:1", text });
  plan.note({ type: "estimated", step: 2, time: { seconds: 8.5, measured: 4, isWarm: true } });
  assert.deepEqual(plan.json, {
    event: "plan",
    version: "1.2.3",
    model: "base",
    method: "spiel-ag",
    out: "runs/x",
    host: "wasm",
    device: "cpu",
    adapter: "A processor",
    threads: 1,
    precision: "f32",
    parameters: 100_000,
    trainable: 1_000,
    memory: [{ purpose: "weights", bytes: 2048 }, { purpose: "deltas", bytes: 1024 }],
    memory_bytes: 3072,
    train: { examples: 1000, tokens: 20000, target_tokens: 9000, truncated: 3 },
    held_out: { examples: 10, tokens: 200, target_tokens: 90, truncated: 0 },
    filled: 0.9765,
    gradient_accumulation_steps: 1,
    step: 2,
    steps: 4,
    estimated_s: 8.5,
    mixture: sources,
    sample: { where: "d:1", text },
  });
});

Deno.test("a dry run tells how long the steps take and what that is from", () => {
  const terminal = rememberingTerminal();
  const times = [
    { seconds: 125, measured: 4, isWarm: true },
    { seconds: 5, measured: 1, isWarm: false },
    { seconds: 6, measured: 1, isWarm: true },
    null,
  ];
  show(terminal, { events: times.map((time, step) => ({ type: "estimated", step, time })) });
  assert.match(terminal.out, /^the steps take about 2 m 05 s, by 4 micro-batches that were/m);
  assert.match(
    terminal.out,
    /^the steps after step 1 take about 5.0 s, by the one micro-batch there/m,
  );
  assert.match(
    terminal.out,
    /about 6.0 s, by the one micro-batch that was computed after the first/,
  );
  assert.match(terminal.out, /not known before the model's weights are there/);
});

Deno.test("a question is shown without its chat template", () => {
  const prompts = [
    "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHow\nmany?<|im_end|>\n<|im_start|>assistant\n",
    "<|start_header_id|>user<|end_header_id|>\n\nHow many?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    "<s>[INST] How many? [/INST]",
    "<|user|>How many?<|assistant|>",
    "How many?",
  ];
  for (const prompt of prompts) {
    const terminal = rememberingTerminal();
    show(terminal, { summary: { ...SUMMARY, samples: [{ prompt, after: "4" }] } });
    assert.match(terminal.out, /\n {2}question {2}How many\?\n/, prompt);
  }
});
