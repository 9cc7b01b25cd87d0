/** The state that is saved: the best after an early stop or where it is wanted, or with a warning the last. */

import assert from "node:assert/strict";
import { loadAdapter } from "../../src/adapter/load.ts";
import { evaluateModel } from "../../src/train/evaluate_model.ts";
import type { TrainEvent } from "../../src/train/events.ts";
import { HOSTED_DEVICES } from "../support/hosts.ts";
import { TinyRun } from "../support/tiny_run.ts";

/** The first reselection gives trained deltas up, so the evaluation after it is worse than the one before. */
const OPTIONS = { earlyStopPatience: 1, evalEvery: 1, saveEvery: 0, lr: 0.05, maxSteps: 40 };

const warnings = (events: TrainEvent[]) =>
  events.flatMap((event) => event.type === "warning" ? [event.message] : []);

for (const place of HOSTED_DEVICES) {
  Deno.test(`early stop: the best state, and the last where that one is damaged (${place.name})`, {
    ignore: place.ignore,
  }, async () => {
    using tiny = new TinyRun();
    const { summary, events } = await tiny.train(place, "good", OPTIONS);
    const best = events.findLast((event) => event.type === "eval" && event.isBest);
    assert.ok(summary.stoppedEarly && best?.type === "eval" && best.step < summary.step);
    const saved = loadAdapter(tiny.out("good/adapter"));
    assert.equal(saved.config.spiel?.step, best.step);
    assert.deepEqual(warnings(events), []);

    const name = `step-${String(best.step).padStart(8, "0")}`;
    const damaged = await tiny.train(place, "bad", OPTIONS, {
      onEvent: (event) => {
        if (event.type !== "checkpoint" || event.step !== summary.step) return;
        Deno.truncateSync(tiny.out(`bad/checkpoints/${name}/deltas.safetensors`), 100);
      },
    });
    assert.equal(warnings(damaged.events).length, 1);
    assert.match(
      warnings(damaged.events)[0]!,
      /^Cannot load checkpoint ".*deltas.safetensors has 100 bytes, .*; the last state is saved instead/,
    );
    const last = loadAdapter(tiny.out("bad/adapter"));
    assert.equal(last.config.spiel?.step, summary.step);
    assert.notDeepEqual(last.modules, saved.modules);
  });
}

for (const place of HOSTED_DEVICES) {
  Deno.test(`early stop: scores and answers are those of what was saved (${place.name})`, {
    ignore: place.ignore,
  }, async () => {
    using tiny = new TinyRun();
    const exam = { evalGenerate: 3, evalMaxNewTokens: 8 };
    const { summary, events } = await tiny.train(place, "run", { ...OPTIONS, ...exam });
    const last = events.findLast((event) => event.type === "eval");
    assert.ok(last?.type === "eval" && last.step === summary.step && !last.isBest);
    const answers: string[] = [];
    const measured = await evaluateModel({
      ...{ model: tiny.model, adapter: summary.output, data: [tiny.heldOut], maxLength: 48 },
      ...{ host: place.host, device: place.device, allowSoftware: place.device === "gpu" },
      ...exam,
      onAnswer: (_, answer) => void answers.push(answer),
    });
    const error = Math.abs(measured.loss - summary.after!.loss);
    assert.ok(error < 1e-4, `${measured.loss}, told ${summary.after!.loss}`);
    assert.ok(last.loss - summary.after!.loss > 1e-3, `the last evaluation's was ${last.loss}`);
    assert.deepEqual(summary.samples.map(({ after }) => after), answers);
    assert.ok(summary.samples.every(({ before }) => before !== undefined));
  });
}

for (const place of HOSTED_DEVICES) {
  Deno.test(`the best state of a run that is over is had by going on with it (${place.name})`, {
    ignore: place.ignore,
  }, async () => {
    using tiny = new TinyRun();
    const short = { maxSteps: 5, lr: 0.3, lrSchedule: "constant", warmupSteps: 0 } as const;
    const options = { ...OPTIONS, ...short, earlyStopPatience: 0, saveEvery: 100 };
    const weights = () => Deno.readFileSync(tiny.out("run/adapter/adapter_model.safetensors"));
    const { summary: last } = await tiny.train(place, "run", options);
    const best = last.best?.step ?? 0;
    assert.ok(best > 0 && best < 5 && last.savedStep === 5, `best at ${best}`);
    const lastWeights = weights();
    const again = { ...options, resume: true, result: "best" } as const;
    const { summary, events } = await tiny.train(place, "run", again);
    assert.equal(summary.savedStep, best);
    assert.deepEqual(events.filter(({ type }) => type === "step"), []);
    assert.deepEqual(warnings(events), []);
    const wanted = await tiny.train(place, "wanted", { ...options, result: "best" });
    assert.equal(wanted.summary.savedStep, best);
    const direct = Deno.readFileSync(tiny.out("wanted/adapter/adapter_model.safetensors"));
    assert.deepEqual(weights(), direct);
    assert.notDeepEqual(lastWeights, direct);
  });
}

for (const place of HOSTED_DEVICES) {
  Deno.test(`a run that makes things worse says so (${place.name})`, {
    ignore: place.ignore,
  }, async () => {
    using tiny = new TinyRun();
    const full = { method: "full", numDeltas: undefined, lr: 1 } as const;
    const options = { ...full, evalEvery: 2, maxSteps: 4 };
    const { summary, events } = await tiny.train(place, "worse", options);
    assert.ok(summary.after!.loss > summary.before!.loss);
    assert.deepEqual(summary.best, { step: 0, loss: summary.before!.loss });
    assert.ok(events.every((event) => event.type !== "eval" || !event.isBest));
    assert.match(
      warnings(events).at(-1)!,
      /^The result is worse than the untrained model: .*; no evaluation was better .*; try a lower/,
    );
    const done = JSON.parse(
      Deno.readTextFileSync(`${tiny.out("worse")}/metrics.jsonl`).trimEnd().split("\n").at(-1)!,
    );
    assert.equal(done.best_step, 0);
    assert.equal(done.saved_step, 4);
    assert.ok(done.peak_memory_bytes > 2 ** 24);
    const report = Deno.readTextFileSync(`${tiny.out("worse")}/report.html`);
    assert.match(report, /class="verdict">The result is worse/);
  });

  Deno.test(`a run at an absurd learning rate ends with numbers' code (${place.name})`, {
    ignore: place.ignore,
  }, async () => {
    using tiny = new TinyRun();
    await assert.rejects(() => tiny.train(place, "absurd", { lr: 1e9, maxSteps: 60 }), {
      kind: "numeric",
      message: /(step \d+|steps \d+ to \d+|since step \d+).* at learning rate .*e\+8|9/,
    });
    assert.match(Deno.readTextFileSync(`${tiny.out("absurd")}/report.html`), /Failed after/);
  });
}
