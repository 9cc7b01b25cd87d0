/** The loop's order of events, its numbers, and its ends, on the fake engine. */

import assert from "node:assert/strict";
import type { Request } from "../../../src/engine/protocol.gen.ts";
import { SpielError } from "../../../src/errors.ts";
import type { TrainEvent } from "../../../src/train/events.ts";
import { startPosition, type TrainingPosition } from "../../../src/train/position.ts";
import { Trainer } from "../../../src/train/trainer.ts";
import { openFakeEngine } from "../../support/fake_engine.ts";
import {
  attachToyDeltas,
  createToy,
  TOY_BATCHES,
  toyBatch,
  toyOptions,
} from "../../support/toy_run.ts";
import { runToy as run, stepsOf } from "../../support/toy_trainer.ts";

const ZERO_NORM = { kind: "updateInfo", gradNorm: 0, failedStep: null } as const;

const backwards = (requests: readonly Request[]) =>
  requests.filter(({ op }) => op === "forwardBackward").length;

Deno.test("trainer: the last step takes the micro-batches that are left, also of a resumed run", async () => {
  const options = { ...toyOptions("spiel-ag"), totalMicroBatches: 27 };
  const { requests, events, error } = await run(options);
  assert.equal(error, undefined);
  assert.equal(backwards(requests), 27);
  const last = events.findLast((event) => event.type === "step");
  assert.deepEqual([last?.step, last?.epoch, last?.targetTokens], [14, 27 / 6, 4]);
  assert.equal(last?.tokens, 6, "one micro-batch, the third of its epoch");
  const resumed = await run({ ...options, spiel: null }, {
    position: { ...startPosition(), step: 13, microBatch: 26, evaluatedStep: 12 },
  });
  assert.equal(resumed.error, undefined);
  assert.equal(backwards(resumed.requests), 1);
});

Deno.test("trainer: AG opens windows, reselects, evaluates and saves at their steps", async () => {
  const { requests, events, saved, error } = await run(toyOptions("spiel-ag"));
  assert.equal(error, undefined);
  const marks: Partial<Record<Request["op"], string>> = {
    candidatesBegin: "begin",
    deltaReselect: "reselect",
    forwardBackward: "b",
    optimizerStep: "step",
    forward: "eval",
  };
  const order = requests.flatMap(({ op }) => marks[op] ?? []).join(" ");
  const step = "b b step";
  const evaluation = "eval eval";
  const reselect = "reselect";
  assert.equal(
    order,
    [
      ...["begin", evaluation, step, step, reselect, step, step, "begin", evaluation],
      ...[step, step, step, reselect, step, evaluation, step, "begin", step, step, step],
      ...[reselect, evaluation, step, step, evaluation],
    ].join(" "),
  );
  assert.deepEqual(stepsOf(events, "reselect"), [2, 7, 12]);
  assert.deepEqual(stepsOf(events, "eval"), [0, 4, 8, 12, 14]);
  assert.ok([3, 6, 9, 12, 14].every((step) => saved.includes(step)));
});

Deno.test("trainer: MA reselects on the same calendar without windows", async () => {
  const { requests, events } = await run(toyOptions("spiel-ma"), { method: "spiel-ma" });
  assert.ok(!requests.some(({ op }) => op === "candidatesBegin" || op === "candidatesEnd"));
  assert.deepEqual(stepsOf(events, "reselect"), [2, 7, 12]);
});

Deno.test("trainer: training improves the held-out loss", async () => {
  const { events } = await run(toyOptions("spiel-ag"));
  const losses = events.flatMap((event) => event.type === "eval" ? [event.loss] : []);
  assert.ok(losses.at(-1)! < losses[0]!, `from ${losses[0]} to ${losses.at(-1)}`);
});

for (const lossNormalization of ["token", "micro_batch"] as const) {
  Deno.test(`trainer: loss scale and step loss by ${lossNormalization}`, async () => {
    const base = toyOptions("spiel-ag");
    const options = { ...base, totalSteps: 1, update: { ...base.update, lossNormalization } };
    const { requests, events } = await run(options);
    const scales = requests.flatMap((one) => one.op === "forwardBackward" ? [one.lossScale] : []);
    const [first, second] = [toyBatch(0).targetTokens, toyBatch(1).targetTokens];
    assert.deepEqual(
      scales,
      lossNormalization === "token"
        ? [1 / (first + second), 1 / (first + second)]
        : [1 / (first * 2), 1 / (second * 2)],
    );
    const step = events.find((event) => event.type === "step");
    assert.ok(step?.type === "step" && Number.isFinite(step.loss));
    assert.equal(step.targetTokens, first + second);
  });
}

Deno.test("trainer: the limit of the gradient's norm is the engine's to keep, and the norm is told", async () => {
  const base = toyOptions("spiel-ag");
  const info = { kind: "updateInfo", gradNorm: 4, failedStep: null } as const;
  const { requests, events } = await run(
    { ...base, totalSteps: 1, update: { ...base.update, maxGradNorm: 0.5 } },
    { intercept: ({ op }) => op === "updateRead" ? info : undefined },
  );
  const update = requests.find((one) => one.op === "optimizerStep");
  assert.equal(update?.op === "optimizerStep" && update.update.maxGradNorm, 0.5);
  const step = events.find((event) => event.type === "step");
  assert.equal(step?.type === "step" && step.gradNorm, 4);
});

Deno.test("trainer: a loss or gradient that is not finite stops the run", async () => {
  const cases = [
    [
      "forwardBackward",
      { kind: "loss", sum: null, targetTokens: 2 },
      /^The loss of step 1 .*toy\.jsonl:1/,
    ],
    [
      "updateRead",
      { kind: "updateInfo", gradNorm: null, failedStep: 1 },
      /^The gradient of step 1 .*toy\.jsonl:1, toy\.jsonl:2/,
    ],
  ] as const;
  for (const [op, reply, message] of cases) {
    const { error, saved } = await run(toyOptions("spiel-ag"), {
      intercept: (request) => request.op === op ? reply : undefined,
    });
    assert.ok(error instanceof SpielError);
    assert.equal(error.kind, "numeric");
    assert.match(error.message, message);
    assert.deepEqual(saved, []);
  }
});

Deno.test("trainer: stops after evaluations without a better loss, and saves the best and the last", async () => {
  const losses = [5, 3, 4, 4, 2];
  const evaluate = () => {
    const loss = losses.shift()!;
    return Promise.resolve({ loss, perplexity: Math.exp(loss), targetTokens: 1 });
  };
  const early = { earlyStopPatience: 2, savesBest: true };
  const options = { ...toyOptions("spiel-ag"), evalEvery: 2, ...early, saveEvery: 0 };
  const { events, saved, error } = await run(options, { evaluate });
  assert.equal(error, undefined);
  assert.deepEqual(stepsOf(events, "eval"), [0, 2, 4, 6]);
  assert.deepEqual(stepsOf(events, "step").at(-1), 6);
  assert.deepEqual(saved, [2, 6]);
  const best = events.flatMap((event) => event.type === "eval" && event.isBest ? [event.step] : []);
  assert.deepEqual(best, [2]);
});

Deno.test("trainer: a save that fails in passing is a warning, three in a row end the run", async () => {
  let attempts = 0;
  const failing = (until: number) => () =>
    ++attempts <= until
      ? Promise.reject(new SpielError("storage", "Disk full"))
      : Promise.resolve("saved");
  const options = { ...toyOptions("spiel-ag"), evalEvery: 0, saveEvery: 2 };
  const twice = await run(options, { save: failing(2) });
  assert.equal(twice.error, undefined);
  const warnings = twice.events.flatMap((event) => event.type === "warning" ? [event.message] : []);
  assert.deepEqual(warnings, Array(2).fill("Disk full; training goes on"));
  attempts = 0;
  const thrice = await run(options, { save: failing(3) });
  assert.ok(thrice.error instanceof SpielError && thrice.error.kind === "storage");
  assert.equal(stepsOf(thrice.events, "step").at(-1), 6);
});

Deno.test("trainer: a state whose checkpoint failed is not the best, and patience begins anew", async () => {
  const losses = [5, 3, 2, 2.5, 2.7, 2.8];
  const evaluate = () => {
    const loss = losses.shift()!;
    return Promise.resolve({ loss, perplexity: Math.exp(loss), targetTokens: 1 });
  };
  const bests: (number | undefined)[] = [];
  const save = ({ step, best }: Readonly<TrainingPosition>) => {
    bests.push(best?.step);
    return step === 4
      ? Promise.reject(new SpielError("storage", "Disk full"))
      : Promise.resolve("saved");
  };
  const early = { earlyStopPatience: 2, savesBest: true };
  const options = { ...toyOptions("spiel-ag"), evalEvery: 2, ...early, saveEvery: 0 };
  const { events, error } = await run(options, { evaluate, save });
  assert.equal(error, undefined);
  // Step 4 was better than step 6, but only the latter can be returned to.
  assert.deepEqual(bests, [2, 4, 6, 6]);
  assert.deepEqual(stepsOf(events, "eval"), [0, 2, 4, 6, 8, 10]);
});

Deno.test("trainer: a step tells what is left", async () => {
  const { events } = await run(toyOptions("spiel-ag"));
  const steps = events.flatMap((event) => event.type === "step" ? [event] : []);
  assert.deepEqual(steps.map(({ nextReselection }) => nextReselection), [
    ...[1, 5, 4, 3, 2, 1, 5, 4, 3, 2, 1],
    ...[undefined, undefined, undefined],
  ]);
  assert.equal(steps.at(-1)?.etaSeconds, 0);
  assert.equal(steps.at(-1)?.epoch, 28 / 6);
  assert.deepEqual(steps.slice(0, 3).map(({ lr }) => lr), [0.25, 0.5, 0.5]);
});

/** Evaluations with given losses, one after another. */
const lossesInOrder = (...losses: number[]) => () => {
  const loss = losses.shift()!;
  return Promise.resolve({ loss, perplexity: Math.exp(loss), targetTokens: 1 });
};

const bestOf = (events: TrainEvent[]) =>
  events.flatMap((event) => event.type === "eval" && event.isBest ? [event.step] : []);

Deno.test("trainer: nothing worse than the untrained model is the best, nor kept as such", async () => {
  const bests: (number | undefined)[] = [];
  const save = ({ best }: Readonly<TrainingPosition>) => {
    bests.push(best?.step);
    return Promise.resolve("saved");
  };
  const options = { ...toyOptions("spiel-ag"), evalEvery: 2, saveEvery: 5 };
  const evaluate = lossesInOrder(3, 4, 3.5, 2, 3.1, 2.5, 5, 4);
  const { events, error } = await run(options, { evaluate, save });
  assert.equal(error, undefined);
  assert.deepEqual(bestOf(events), [6]);
  assert.deepEqual(bests, [0, 6, 6, 6]);

  const never = await run(options, { evaluate: lossesInOrder(3, 4, 4, 4, 4, 4, 4, 4) });
  assert.deepEqual(bestOf(never.events), []);
});

Deno.test("trainer: the best state is saved where it is wanted, without regular checkpoints too", async () => {
  const options = { ...toyOptions("spiel-ag"), evalEvery: 2, saveEvery: 0 };
  const losses = [3, 2, 1, 2, 2, 2, 2, 2];
  const wanted = await run({ ...options, savesBest: true }, { evaluate: lossesInOrder(...losses) });
  assert.deepEqual(wanted.saved, [2, 4, 14]);
  const unwanted = await run(options, { evaluate: lossesInOrder(...losses) });
  assert.deepEqual(unwanted.saved, [14]);
});

Deno.test("trainer: patience is measured by the untrained model too", async () => {
  const early = { earlyStopPatience: 2, savesBest: true };
  const options = { ...toyOptions("spiel-ag"), evalEvery: 2, ...early, saveEvery: 0 };
  const { events, saved } = await run(options, { evaluate: lossesInOrder(3, 4, 3.5, 2) });
  assert.deepEqual(stepsOf(events, "eval"), [0, 2, 4]);
  assert.deepEqual(saved, [4]);
});

Deno.test("trainer: a run that breaks down names the step, the rate and what is kept", async () => {
  const options = { ...toyOptions("spiel-ag"), evalEvery: 0, saveEvery: 2 };
  let norms = 0;
  const dead = await run(options, {
    intercept: ({ op }) => op === "updateRead" && ++norms > 4 ? ZERO_NORM : undefined,
  });
  assert.ok(dead.error instanceof SpielError && dead.error.kind === "numeric");
  assert.match(
    dead.error.message,
    /^No gradient is left: its norm is 0 in steps 5 to 7, .*rate \d/,
  );
  // The state of step 6 is no good one, so none is given up for it.
  assert.match(dead.error.message, /; the checkpoint of step 4 is kept$/);
  assert.deepEqual(dead.saved, [2, 4]);

  norms = 0;
  const recovered = await run(options, {
    intercept: ({ op }) => op === "updateRead" && [6, 7].includes(++norms) ? ZERO_NORM : undefined,
  });
  assert.equal(recovered.error, undefined);
  assert.deepEqual(recovered.saved, [2, 4, 8, 10, 12, 14]);

  const blind = await run({ ...options, evalEvery: 3 }, {
    evaluate: () => Promise.reject(new SpielError("numeric", "The held-out loss is not finite")),
  });
  assert.match(`${blind.error}`, /The held-out loss is not finite$/);
  let evaluations = 0;
  const later = await run({ ...options, evalEvery: 3 }, {
    evaluate: () =>
      ++evaluations === 1
        ? lossesInOrder(2)()
        : Promise.reject(new SpielError("numeric", "The held-out loss is not finite")),
  });
  assert.match(
    `${later.error}`,
    /not finite after step 3 at learning rate 5\.0e-1; try a lower learning rate; the checkpoint of step 2 is kept$/,
  );
});

Deno.test("trainer: a state that cannot be saved for its numbers is told with its step", async () => {
  const options = { ...toyOptions("spiel-ag"), evalEvery: 0, saveEvery: 5 };
  const save = () => Promise.reject(new SpielError("numeric", "Element 3 is not finite"));
  const { error } = await run(options, { save });
  assert.ok(error instanceof SpielError && error.kind === "numeric");
  assert.match(
    error.message,
    /^Element 3 is not finite after step 5 at learning rate 4\.2e-1; try a lower learning rate$/,
  );
});

Deno.test("trainer: a last checkpoint that the disk refuses does not cost what was trained", async () => {
  const options = { ...toyOptions("spiel-ag"), evalEvery: 0, saveEvery: 0 };
  const { engine } = await openFakeEngine();
  await createToy(engine, "spiel-ag");
  await attachToyDeltas(engine, "spiel-ag");
  const full = new SpielError("storage", "Disk full");
  const save = () => Promise.reject(full);
  const trainer = new Trainer(
    { engine, batches: TOY_BATCHES, evaluate: null, save, elapsedBefore: 100 },
    options,
  );
  const { position, unsaved, elapsedS } = await trainer.run();
  assert.equal(position.step, 14);
  assert.equal(unsaved, full);
  assert.ok(elapsedS > 100 && elapsedS < 160);
  await engine.close();
});

Deno.test("trainer: a stop says how the run goes on, where it was saved", async () => {
  const options = toyOptions("spiel-ag");
  const stopped = await run(options, { signal: AbortSignal.abort(), evaluate: null });
  assert.match(
    `${stopped.error}`,
    /Stopped after step 0, as asked; all is saved, and the same command with --resume goes on$/,
  );
  const lost = await run(options, { signal: AbortSignal.abort(), evaluate: null, save: null });
  assert.match(`${lost.error}`, /Stopped after step 0, as asked$/);
});
