/** Whole small runs on every host and device: they learn, and what they leave behind is what was measured. */

import assert from "node:assert/strict";
import { mergeAdapter } from "../../src/export/merge.ts";
import { loadAdapter } from "../../src/adapter/load.ts";
import { generateText } from "../../src/generate/generate_text.ts";
import { SafetensorsFolder } from "../../src/io/safetensors_shards.ts";
import type { EvalEvent, TrainEvent } from "../../src/train/events.ts";
import { evaluateModel } from "../../src/train/evaluate_model.ts";
import { HOSTED_DEVICES } from "../support/hosts.ts";
import { TinyRun } from "../support/tiny_run.ts";

const evaluations = (events: TrainEvent[]) =>
  events.filter((event): event is EvalEvent => event.type === "eval");

for (const place of HOSTED_DEVICES) {
  const { name, ignore } = place;
  const where = { host: place.host, device: place.device };
  const test = (title: string, run: (tiny: TinyRun) => Promise<void>) =>
    Deno.test(`train: ${title} (${name})`, { ignore }, async () => {
      using tiny = new TinyRun();
      await run(tiny);
    });

  for (
    const [method, lr, least] of [["spiel-ag", 0.02, 0.5], ["spiel-ma", 0.3, 0.5], [
      "full",
      0.01,
      1,
    ]] as const
  ) {
    test(`${method} lowers the held-out loss`, async (tiny) => {
      const options = method === "full" ? { numDeltas: undefined } : {};
      const { events, summary } = await tiny.train(place, "run", { method, lr, ...options });
      const losses = evaluations(events).map(({ loss }) => loss);
      assert.equal(losses.length, 4);
      assert.ok(losses[0]! - losses.at(-1)! > least, `losses ${losses}`);
      assert.equal(summary.step, 12);
      assert.equal(summary.before?.loss, losses[0]);
      assert.equal(summary.after?.loss, losses.at(-1));
      for (const event of events) {
        if (event.type === "step") assert.ok(event.gradNorm > 0 && event.tokensPerSecond > 0);
      }
    });
  }

  test("the adapter and the merged model measure as the run did", async (tiny) => {
    const { events, summary } = await tiny.train(place, "run");
    const expected = evaluations(events).at(-1)!.loss;
    const adapter = summary.output!;
    const deltas = [...loadAdapter(adapter).modules.values()];
    const planned = events.find((event) => event.type === "planned");
    const count = deltas.reduce((sum, { values }) => sum + values.length, 0);
    assert.equal(count, planned?.type === "planned" && planned.trainable);
    assert.ok(deltas.some(({ values }) => values.some((value) => value !== 0)));

    const on = { ...where, data: [tiny.heldOut], maxLength: 48 };
    const withAdapter = await evaluateModel({ ...on, model: tiny.model, adapter });
    assert.ok(Math.abs(withAdapter.loss - expected) < 1e-6, `${withAdapter.loss} not ${expected}`);
    const out = tiny.out("merged");
    const { dtype } = await mergeAdapter({ ...where, model: tiny.model, adapter, out });
    assert.equal(dtype, "f32");
    const merged = await evaluateModel({ ...on, model: out });
    assert.ok(Math.abs(merged.loss - expected) < 1e-6, `${merged.loss} not ${expected}`);

    const half = tiny.out("half");
    await mergeAdapter({ ...where, model: tiny.model, adapter, out: half, dtype: "bf16" });
    using weights = SafetensorsFolder.open(half);
    for (const tensor of weights.names()) assert.equal(weights.entry(tensor)?.dtype, "BF16");
    const rounded = await evaluateModel({ ...on, model: half });
    assert.ok(Math.abs(rounded.loss - expected) < 0.05, `${rounded.loss} not near ${expected}`);
    const f16 = tiny.out("f16");
    await mergeAdapter({ ...where, model: tiny.model, adapter, out: f16, dtype: "f16" });
    const again = await mergeAdapter({ ...where, model: f16, adapter, out: tiny.out("again") });
    assert.equal(again.dtype, "f16");
    await assert.rejects(
      () => mergeAdapter({ ...where, model: tiny.model, adapter, out }),
      { kind: "usage", message: /exists already/ },
    );
  });

  test("a run can start from an adapter", async (tiny) => {
    const first = await tiny.train(place, "first");
    const adapter = first.summary.output!;
    const second = await tiny.train(place, "second", {
      adapter,
      numDeltas: undefined,
      maxSteps: 1,
    });
    const start = evaluations(second.events)[0]!.loss;
    assert.ok(Math.abs(start - evaluations(first.events).at(-1)!.loss) < 1e-6);
    // It has the deltas of the adapter, whatever is configured.
    const { modules } = loadAdapter(adapter);
    const deltas = [...modules.values()].reduce((sum, { values }) => sum + values.length, 0);
    const path = `${second.summary.output}/adapter_config.json`;
    const { density, num_tunable_weights, target_modules } = JSON.parse(
      Deno.readTextFileSync(path),
    );
    assert.deepEqual([density, num_tunable_weights], [null, deltas]);
    assert.deepEqual(target_modules.toSorted(), [...modules.keys()].toSorted());
  });

  test("the same seed is the same run, another is not", async (tiny) => {
    const losses = async (out: string, seed: number) =>
      (await tiny.train(place, out, { seed, maxSteps: 4 })).events.flatMap((event) =>
        event.type === "step" ? [event.loss] : []
      );
    const first = await losses("a", 1);
    assert.deepEqual(await losses("b", 1), first);
    assert.notDeepEqual(await losses("c", 2), first);
  });

  test("activation checkpointing changes no bit", async (tiny) => {
    const outputs = await Promise.all((["none", "block"] as const).map(async (kind) => {
      const options = { activationCheckpointing: kind, maxSteps: 4 };
      const { summary } = await tiny.train(place, kind, options);
      return Deno.readFileSync(`${summary.output}/adapter_model.safetensors`);
    }));
    assert.deepEqual(outputs[0], outputs[1]);
  });

  test("accumulated micro-batches equal one that holds all examples", async (tiny) => {
    const losses = async (out: string, microBatchTokens: number, steps: number) => {
      const { events } = await tiny.train(place, out, {
        microBatchTokens,
        gradientAccumulationSteps: steps,
        maxSteps: 2,
        // Whole passes, so that both steps see every example.
        maxGradNorm: 0,
        evalEvery: 1,
        packing: "none",
      });
      return evaluations(events).map(({ loss }) => loss);
    };
    const whole = await losses("whole", 4096, 1);
    // Fourteen examples of one micro-batch each.
    const parts = await losses("parts", 48, 14);
    for (const [index, loss] of whole.entries()) {
      assert.ok(Math.abs(loss - parts[index]!) < 1e-5, `${whole} and ${parts}`);
    }
  });

  test("exact match counts generated answers, and text follows the prompt", async (tiny) => {
    const { events, summary } = await tiny.train(place, "run", {
      method: "full",
      numDeltas: undefined,
      lr: 0.003,
      maxSteps: 100,
      evalEvery: 0,
      saveEvery: 0,
      evalGenerate: 5,
      evalMaxNewTokens: 12,
    });
    const scores = evaluations(events).map(({ exactMatch }) => exactMatch);
    assert.deepEqual(scores, [0, 1]);
    assert.deepEqual([summary.before?.exactMatch, summary.after?.exactMatch], scores);
    assert.equal(summary.samples.length, 5);
    for (const { before, after, expected } of summary.samples) {
      assert.ok(before !== expected && after === expected, `${before}, ${after}, ${expected}`);
    }
    const stages = events.filter((event) => event.type === "evaluating");
    const answered = stages.filter(({ stage }) => stage === "answers").map(({ done }) => done);
    assert.deepEqual(answered, [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5]);
    assert.ok(stages.every(({ done, total }) => done <= total && total === 5));
    const model = tiny.out("run/model");
    let text = "";
    for await (const piece of generateText({ ...where, model, prompt: "1 b?" })) text += piece;
    assert.equal(text, "bbbb");
  });

  test("random weights need a configuration alone", async (tiny) => {
    Deno.removeSync(`${tiny.model}/model.safetensors`);
    const { events } = await tiny.train(place, "run", {
      init: "random",
      method: "full",
      numDeltas: undefined,
      lr: 0.01,
    });
    const losses = evaluations(events).map(({ loss }) => loss);
    assert.ok(losses[0]! - losses.at(-1)! > 1, `losses ${losses}`);
  });

  test("a dry run plans and leaves nothing behind", async (tiny) => {
    const { events, summary } = await tiny.train(place, "dry", { dryRun: true });
    const types = ["files", "opened", "planned", "data", "example", "estimated"];
    assert.deepEqual(events.map(({ type }) => type), types);
    assert.equal(summary.output, undefined);
    assert.throws(() => Deno.statSync(tiny.out("dry")), Deno.errors.NotFound);
  });
}

Deno.test("train: hosts agree", {
  ignore: HOSTED_DEVICES.filter(({ ignore }) => !ignore).length < 2,
}, async () => {
  using tiny = new TinyRun();
  const [first, ...others] = HOSTED_DEVICES.filter(({ ignore }) => !ignore);
  const losses = async (place: typeof HOSTED_DEVICES[number]) => {
    const { events } = await tiny.train(place, place.name, { maxSteps: 8 });
    return events.flatMap((event) => event.type === "step" ? [event.loss] : []);
  };
  const expected = await losses(first!);
  for (const place of others) {
    for (const [step, loss] of (await losses(place)).entries()) {
      assert.ok(Math.abs(loss - expected[step]!) < 1e-5, `${place.name}, step ${step + 1}`);
    }
  }
});
