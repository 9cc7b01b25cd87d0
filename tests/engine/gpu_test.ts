/** GPUs: which one is taken and what is said about it, what does not fit, and runs that move between devices. */

import assert from "node:assert/strict";
import type { TrainEvent } from "../../src/train/events.ts";
import { open } from "../../src/engine/open.ts";
import { gpuDevices, HOSTED_DEVICES, type HostedDevice } from "../support/hosts.ts";
import { createRandomModel, SMALL_CONFIG, WEIGHTS_OPTIONS } from "../support/small_model.ts";
import { filesUnder, TinyRun } from "../support/tiny_run.ts";

/** Losses of one run on two devices differ by the rounding of sums in another order. */
const MOVED = 1e-3;

/** Two windows, steps 1 to 2 and 4 to 6, each with a reselection. */
const SHORT = { maxSteps: 6 };

/** Stops inside each window. */
const CUTS = [1, 5];

/** Trains up to a step, where the run is interrupted. */
async function trainUntil(tiny: TinyRun, place: HostedDevice, out: string, step: number) {
  const controller = new AbortController();
  const onEvent = (event: TrainEvent) => {
    if (event.type === "step" && event.step === step) controller.abort();
  };
  const hooks = { signal: controller.signal, onEvent };
  await assert.rejects(() => tiny.train(place, out, SHORT, hooks), { kind: "interrupted" });
}

/** The training losses by step, as the metrics have them. */
function losses(tiny: TinyRun, out: string): number[] {
  const lines = Deno.readTextFileSync(tiny.out(`${out}/metrics.jsonl`)).trim().split("\n");
  return lines.map((line) => JSON.parse(line)).filter(({ event }) => event === "step")
    .map(({ loss }) => loss);
}

for (const place of await gpuDevices()) {
  const { host, ignore } = place;
  const test = (name: string, run: () => Promise<void>) =>
    Deno.test(`gpu: ${name} (${place.name})`, { ignore }, run);

  test("the list says what each GPU is and offers", async () => {
    await using engine = await open({ host, device: "cpu" });
    const { supported, gpus, problem } = await engine.gpus();
    assert.ok(supported && gpus.length > 0);
    assert.equal(problem === null, gpus.some((gpu) => !gpu.software && gpu.problem === null));
    for (const [index, { limits, ...gpu }] of gpus.entries()) {
      assert.equal(gpu.index, index);
      assert.ok(gpu.name !== "" && gpu.backend !== "");
      assert.ok(limits.maxStorageBufferBindingSize >= 2 ** 27, JSON.stringify(limits));
      assert.equal(gpu.kind === "software", gpu.software);
    }
  });

  test("auto takes hardware or the CPU, never software, and says why", async () => {
    await using engine = await open({ host });
    const { problem } = await engine.gpus();
    const { device, deviceReason } = engine.info;
    assert.equal(device, problem === null ? "gpu" : "cpu");
    assert.match(deviceReason, device === "cpu" ? /no GPU|software adapter/ : /GPU/);
  });

  test("a GPU is chosen by number and name, and software only where allowed", async () => {
    await using listed = await place.open();
    const { gpus } = await listed.gpus();
    for (const { index, name, software } of gpus) {
      for (const gpu of [String(index), name]) {
        await using chosen = await place.open({ gpu });
        assert.equal(chosen.info.device, "gpu");
        assert.ok(chosen.info.adapter.startsWith(name), chosen.info.adapter);
      }
      if (!software) continue;
      await assert.rejects(() => open({ host, gpu: String(index) }), {
        kind: "device",
        message: /is a software adapter, far slower than the CPU device/,
      });
    }
    await assert.rejects(() => place.open({ gpu: "no such card" }), {
      kind: "device",
      message: /^No GPU matches --gpu "no such card", expected .* of one of these: 0: /,
    });
  });

  test("a plan with a buffer that the GPU does not allow is refused", async () => {
    await using engine = await place.open();
    const config = { ...SMALL_CONFIG, vocab_size: 2 ** 24, hidden_size: 32 };
    await assert.rejects(() => engine.planModel(config, WEIGHTS_OPTIONS), {
      kind: "device",
      message: /^The weights need one buffer of 2\.0 GiB, over the \d+\.\d \wiB that .+ allows$/,
    });
    assert.ok((await createRandomModel(engine, SMALL_CONFIG, WEIGHTS_OPTIONS)).size > 0);
  });

  test("heads that the kernels cannot train are a matter of the device, not of the model", async () => {
    await using engine = await place.open();
    const config = { ...SMALL_CONFIG, head_dim: 258 };
    await assert.rejects(() => engine.planModel(config, WEIGHTS_OPTIONS), {
      kind: "device",
      message: /head_dim is 258, expected at most 256 to train on /,
    });
    const { parameters } = await engine.planModel(config, {
      ...WEIGHTS_OPTIONS,
      trainable: "nothing",
    });
    assert.ok(parameters > 0);
  });

  test("the ways to the gradients at deltas are measured before the first step", async () => {
    using tiny = new TinyRun();
    const { events } = await tiny.train(place, "run", { maxSteps: 1 });
    const told = events.findIndex(({ type }) => type === "gradients");
    assert.ok(told >= 0 && told < events.findIndex(({ type }) => type === "step"));
    const event = events[told]!;
    assert.ok(event.type === "gradients" && event.trials.length > 0);
    for (const { deltas, sampledSeconds, denseSeconds, dense } of event.trials) {
      assert.ok(deltas > 0 && sampledSeconds > 0 && denseSeconds > 0);
      assert.equal(dense, denseSeconds < sampledSeconds);
    }
  });

  test("an interrupted run ends in the same bytes", async () => {
    using tiny = new TinyRun();
    await tiny.train(place, "whole", SHORT);
    const expected = filesUnder(tiny.out("whole/adapter"));
    for (const step of CUTS) {
      await trainUntil(tiny, place, `cut-${step}`, step);
      await tiny.train(place, `cut-${step}`, { ...SHORT, resume: true });
      assert.deepEqual(filesUnder(tiny.out(`cut-${step}/adapter`)), expected);
      assert.deepEqual(losses(tiny, `cut-${step}`), losses(tiny, "whole"));
    }
  });

  const cpu = HOSTED_DEVICES.find((other) => other.host === host)!;
  for (const [from, to] of [[cpu, place], [place, cpu]] as const) {
    test(`a run moves from ${from.device} to ${to.device}`, async () => {
      using tiny = new TinyRun();
      await tiny.train(cpu, "whole", SHORT);
      await trainUntil(tiny, from, "moved", 3);
      await tiny.train(to, "moved", { ...SHORT, resume: true });
      const [whole, moved] = [losses(tiny, "whole"), losses(tiny, "moved")];
      assert.equal(moved.length, whole.length);
      for (const [step, loss] of whole.entries()) {
        const difference = Math.abs(moved[step]! - loss) / loss;
        assert.ok(difference <= MOVED, `step ${step + 1}: ${moved[step]} is not ${loss}`);
      }
    });
  }
}
