/** `profile`: what the steps of a run asked of the device, in an event and in the run folder, on every host and device. */

import assert from "node:assert/strict";
import { open, type OpenOptions } from "../../src/engine/open.ts";
import { SpielError } from "../../src/errors.ts";
import type { TrainEvent } from "../../src/train/events.ts";
import type { TraceEvent } from "../../src/train/trace.ts";
import { gpuDevices, HOSTED_DEVICES } from "../support/hosts.ts";
import { TinyRun } from "../support/tiny_run.ts";

/** Two windows, steps 1 to 2 and 4 to 6, each with a reselection. */
const SHORT = { maxSteps: 6, profile: true };

const WASM = { host: "wasm", device: "cpu" } as const;

Deno.test("profile: a run that is stopped leaves what it has counted so far", async () => {
  using tiny = new TinyRun();
  const stop = new AbortController();
  const events: TrainEvent[] = [];
  const stopped = tiny.train(WASM, "run", SHORT, {
    signal: stop.signal,
    onEvent: (event) => {
      events.push(event);
      if (event.type === "step" && event.step === 2) stop.abort();
    },
  });
  await assert.rejects(stopped, { kind: "interrupted" });
  const event = events.findLast(({ type }) => type === "profile");
  assert.ok(event?.type === "profile" && event.report.steps === 2);
  assert.equal(JSON.parse(Deno.readTextFileSync(event.path)).steps, 2);

  // Those of the run that goes on take its place, under the run's numbers.
  const resumed = await tiny.train(WASM, "run", { ...SHORT, resume: true });
  const again = resumed.events.findLast(({ type }) => type === "profile");
  assert.ok(again?.type === "profile");
  const { first_step, steps } = JSON.parse(Deno.readTextFileSync(again.path));
  assert.deepEqual([first_step, steps], [3, 4]);
  checkTrace(again.tracePath, again.report.calls.length, ["step 3", "step 4", "step 5", "step 6"]);
});

Deno.test("profile: the step that a run breaks down in is counted with its operations", async () => {
  using tiny = new TinyRun();
  const openBroken = async (options: OpenOptions) => {
    const engine = await open(options);
    engine.readUpdate = () => Promise.resolve({ loss: NaN, gradNorm: null, failedStep: 1 });
    return engine;
  };
  const events: TrainEvent[] = [];
  const broken = tiny.train(WASM, "run", SHORT, {
    open: openBroken,
    onEvent: (event) => void events.push(event),
  });
  await assert.rejects(broken, { kind: "numeric", message: /of step 1 is not finite/ });
  const event = events.find(({ type }) => type === "profile");
  assert.ok(event?.type === "profile" && event.report.seconds > 0);
  const { steps, operations } = JSON.parse(Deno.readTextFileSync(event.path));
  assert.equal(steps, 1);
  const updates = operations.filter(({ operation }: { operation: string }) =>
    operation === "adamw_deltas"
  );
  assert.ok(updates.length > 0);
  checkTrace(event.tracePath, event.report.calls.length, ["step 1"]);
});

Deno.test("profile: one that the engine cannot tell is said to be lost, and nothing else is", async () => {
  using tiny = new TinyRun();
  const openFailing = async (options: OpenOptions) => {
    const engine = await open(options);
    const { readProfile } = engine;
    let calls = 0;
    engine.readProfile = function () {
      // The first one is for the peaks.
      if (calls++ === 0) return readProfile.call(this);
      throw new SpielError("internal", "The engine failed: unreachable");
    };
    return engine;
  };
  const { events, summary } = await tiny.train(WASM, "run", SHORT, { open: openFailing });
  const warnings = events.flatMap((event) => event.type === "warning" ? [event.message] : []);
  assert.deepEqual(warnings, ["There is no profile: The engine failed: unreachable"]);
  assert.ok(Deno.statSync(`${summary.output}/adapter_model.safetensors`).isFile);
  assert.ok(Deno.statSync(tiny.out("run/report.html")).isFile);
});

Deno.test("profile: what a block did is done again without its last product", async () => {
  using tiny = new TinyRun();
  const counts = async (activationCheckpointing: "none" | "block") => {
    const options = { ...SHORT, activationCheckpointing };
    const place = { host: "native", device: "cpu" } as const;
    const { events } = await tiny.train(place, activationCheckpointing, options);
    const event = events.find(({ type }) => type === "profile");
    assert.ok(event?.type === "profile");
    const { operations } = event.report;
    return (name: string) =>
      operations.filter(({ operation }) => operation === name)
        .reduce((sum, { calls }) => sum + calls, 0);
  };
  const [none, block] = [await counts("none"), await counts("block")];
  // A forward and a backward pass over two blocks, of which the last need not be done again.
  const again = none("attention_backward") / 2;
  assert.equal(block("attention_backward"), none("attention_backward"));
  assert.equal(block("attention") - none("attention"), again);
  assert.equal(block("glu"), none("glu"));
  assert.equal(block("product_nt") - none("product_nt"), 6 * again);
});

/** Complete events in order, all of them within the run's steps. */
function checkTrace(path: string | null, calls: number, steps: readonly string[]): void {
  assert.equal(path !== null, calls > 0);
  if (path === null) return;
  const { traceEvents } = JSON.parse(Deno.readTextFileSync(path)) as { traceEvents: TraceEvent[] };
  const complete = traceEvents.filter(({ ph }) => ph === "X");
  const inSteps = complete.filter(({ name }) => name.startsWith("step "));
  assert.equal(complete.length, calls + steps.length);
  assert.deepEqual(inSteps.map(({ name }) => name), steps);
  assert.deepEqual(complete, complete.toSorted((a, b) => a.ts! - b.ts!));
  assert.ok(complete[0]!.ts! >= 0);
  for (const [number, { ts }] of inSteps.entries()) {
    const before = inSteps[number - 1];
    assert.ok(before === undefined || before.ts! + before.dur! <= ts! + 1e-3, "steps overlap");
  }
  for (const { ts, dur } of complete) {
    assert.ok(inSteps.some((step) => step.ts! <= ts! && ts! + dur! <= step.ts! + step.dur! + 1e-3));
  }
}

for (const place of [...HOSTED_DEVICES, ...await gpuDevices()]) {
  Deno.test({
    name: `profile: a run counts what its steps do, and trains as without (${place.name})`,
    ignore: place.ignore ?? false,
    fn: async () => {
      using tiny = new TinyRun();
      await tiny.train(place, "plain", { ...SHORT, profile: false });
      const { events } = await tiny.train(place, "profiled", SHORT);
      const adapter = (out: string) =>
        Deno.readFileSync(tiny.out(`${out}/adapter/adapter_model.safetensors`));
      assert.deepEqual(adapter("profiled"), adapter("plain"));

      const event = events.find(({ type }) => type === "profile");
      assert.ok(event?.type === "profile");
      const { steps, seconds, totals, operations } = event.report;
      assert.ok(steps === 6 && seconds > 0);
      // A GPU copies and clears without a dispatch; a CPU calls a function for all that it does.
      const dispatched = place.device === "gpu"
        ? operations.filter(({ operation }) => !/^(copy|clear)$/.test(operation))
        : operations;
      const dispatches = dispatched.reduce((sum, { calls }) => sum + calls, 0);
      assert.equal(totals.dispatches, dispatches);
      const products = operations.filter(({ operation }) => operation.startsWith("product"));
      assert.ok(products.length > 0);
      for (const { seconds } of operations) assert.ok(seconds === null || seconds >= 0);
      assert.ok(products.every(({ flops, shape }) => flops! > 0 && shape.length === 3));
      if (place.device === "gpu") {
        const reselections = events.filter(({ type }) => type === "reselect").length;
        assert.ok(reselections > 0);
        // A step's loss and norm together, and how many deltas a reselection moved.
        assert.equal(totals.readBacks, steps + reselections);
        assert.ok(totals.submissions >= totals.readBacks);
      }

      const { peaks, calls } = event.report;
      const isTimed = operations.some(({ operation, seconds }) =>
        operation.startsWith("product") && seconds !== null
      );
      assert.equal(peaks !== null, isTimed);
      assert.ok(peaks === null || peaks.flopsPerSecond > 1e8 && peaks.bytesPerSecond > 1e8);
      const numbers = Array.from({ length: steps }, (_, step) => `step ${step + 1}`);
      checkTrace(event.tracePath, calls.length, numbers);
      const file = JSON.parse(Deno.readTextFileSync(event.path));
      assert.equal(file.steps, 6);
      assert.equal(file.engine.device, place.device);
      assert.equal(file.totals.dispatches, totals.dispatches);
      assert.equal(file.operations.length, operations.length);
    },
  });
}
