/** A GPU that nobody asked for gives way to the CPU before the first step, which is said; one that was asked for does not. */

import assert from "node:assert/strict";
import { openModel } from "../../src/adapter/open_model.ts";
import type { ErrorCode, Request } from "../../src/engine/protocol.gen.ts";
import { SpielError, type SpielErrorKind } from "../../src/errors.ts";
import type { TrainEvent } from "../../src/train/events.ts";
import { type Failing, posingOpener } from "../support/posing_gpu.ts";
import { filesUnder, TinyRun } from "../support/tiny_run.ts";

const AUTO = { host: "wasm", device: "auto" } as const;
const CPU = { host: "wasm", device: "cpu" } as const;
const OPTIONS = { allowSoftware: false, evalEvery: 0, maxSteps: 4, saveEvery: 2 } as const;

/** Where a GPU fails before the first step, and with what. */
const FAILURES: readonly (readonly [
  where: string,
  code: ErrorCode,
  isIt: (request: Request) => boolean,
])[] = [
  ["planning", "deviceUnavailable", (request) => request.op === "modelCreate"],
  ["allocating", "outOfMemory", (request) => request.op === "modelCreate" && !request.dryRun],
  ["loading", "deviceLost", (request) => request.op === "tensorWrite"],
  ["attaching", "outOfMemory", (request) => request.op === "deltaAttach"],
  ["trials", "deviceLost", (request) => request.op === "gradientsTry"],
];

const failing = (code: ErrorCode, isIt: (request: Request) => boolean): Failing => (request) =>
  isIt(request) ? { code, message: "the poser is out of breath" } : undefined;

const openings = (events: readonly TrainEvent[]) =>
  events.flatMap((event) => event.type === "opened" ? [event.info] : []);

const warnings = (events: readonly TrainEvent[]) =>
  events.flatMap((event) => event.type === "warning" ? [event.message] : []);

/** What a run is checked by: its adapter's bytes. */
const adapterOf = (run: TinyRun, name: string) => filesUnder(`${run.out(name)}/adapter`);

Deno.test("fallback: a run goes on with the CPU wherever its GPU fails before the first step", async () => {
  using run = new TinyRun();
  await run.train(CPU, "cpu", OPTIONS);
  for (const [where, code, isIt] of FAILURES) {
    const open = posingOpener(failing(code, isIt));
    const { events } = await run.train(AUTO, where, OPTIONS, { open });
    const opened = openings(events);
    assert.deepEqual(opened.map(({ device }) => device), ["gpu", "cpu"], where);
    assert.equal(opened[1]?.deviceReason, 'in place of "Poser"');
    assert.equal(
      warnings(events)[0],
      'GPU "Poser" does not do: the poser is out of breath; --device auto goes on with the CPU instead',
    );
    assert.deepEqual(adapterOf(run, where), adapterOf(run, "cpu"), where);
  }
});

Deno.test("fallback: a resumed run goes on with the CPU as well", async () => {
  using run = new TinyRun();
  await run.train(CPU, "whole", OPTIONS);
  const stop = new AbortController();
  const onEvent = (event: TrainEvent) => {
    if (event.type === "step" && event.step === 2) stop.abort();
  };
  const stopped = run.train(CPU, "stopped", OPTIONS, { signal: stop.signal, onEvent });
  await assert.rejects(stopped, { kind: "interrupted" });
  const open = posingOpener(failing("outOfMemory", ({ op }) => op === "stateWrite"));
  const resume = { ...OPTIONS, resume: true };
  const { events } = await run.train(AUTO, "stopped", resume, { open });
  assert.deepEqual(openings(events).map(({ device }) => device), ["gpu", "cpu"]);
  // It was on the CPU before, and is again: nothing has moved.
  assert.equal(warnings(events).length, 1);
  assert.deepEqual(adapterOf(run, "stopped"), adapterOf(run, "whole"));
});

Deno.test("fallback: what was asked for, what is no failure of the device, and what has begun end the run", async () => {
  using run = new TinyRun();
  const onStep = ({ op }: Request) => op === "optimizerStep";
  const onLoad = ({ op }: Request) => op === "tensorWrite";
  const cases: [string, "gpu" | "auto", string | undefined, Failing, SpielErrorKind][] = [
    ["a device", "gpu", undefined, failing("outOfMemory", onLoad), "device"],
    ["a GPU", "auto", "Poser", failing("deviceUnavailable", onLoad), "device"],
    ["bad files", "auto", undefined, failing("invalidRequest", onLoad), "data"],
    ["a fault", "auto", undefined, failing("internal", onLoad), "internal"],
    ["a step", "auto", undefined, failing("deviceLost", onStep), "interrupted"],
  ];
  for (const [what, device, gpu, fails, kind] of cases) {
    const events: TrainEvent[] = [];
    const hooks = {
      open: posingOpener(fails),
      onEvent: (event: TrainEvent) => void events.push(event),
    };
    const given = gpu === undefined ? {} : { gpu };
    const done = run.train({ host: "wasm", device }, what, { ...OPTIONS, ...given }, hooks);
    await assert.rejects(done, (error) => error instanceof SpielError && error.kind === kind, what);
    assert.equal(openings(events).length, 1, what);
  }
});

Deno.test("fallback: a model for evaluation or generation is loaded on the CPU instead", async () => {
  using run = new TinyRun();
  const { summary } = await run.train(CPU, "run", OPTIONS);
  const logits = async (options: { device: "cpu" | "auto"; failing: Failing; said: string[] }) => {
    const { device, said } = options;
    const open = posingOpener(options.failing);
    const onWarning = (message: string) => void said.push(message);
    const asked = { model: run.model, adapter: summary.output, device, onWarning };
    await using model = await openModel(asked, { microBatchTokens: 8 }, open);
    assert.equal(model.engine.info.device, "cpu");
    await model.engine.beginGeneration(4);
    return await model.engine.feed(Uint32Array.of(3, 4));
  };
  const said: string[] = [];
  const expected = await logits({ device: "cpu", failing: () => undefined, said });
  assert.deepEqual(said, []);
  for (const [where, code, isIt] of FAILURES.slice(0, 4)) {
    const found = await logits({ device: "auto", failing: failing(code, isIt), said });
    assert.deepEqual(found, expected, where);
    assert.match(said.pop() ?? "", /^GPU "Poser" does not do: the poser is out of breath; /);
  }
});
