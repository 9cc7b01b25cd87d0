/** What follows from a profile: peaks, shares of them, and a trace of the last calls. */

import assert from "node:assert/strict";
import type { Profile, ProfileRow } from "../../../src/engine/protocol.gen.ts";
import { joinPeaks, leastSeconds, type Peaks, peaksOf } from "../../../src/train/peaks.ts";
import {
  profileRecord,
  type ProfileReport,
  StepProfiler,
  sumByOperation,
} from "../../../src/train/profile.ts";
import { SpielError } from "../../../src/errors.ts";
import { type TraceEvent, traceRecord } from "../../../src/train/trace.ts";
import { NOTHING_ASKED, openFakeEngine } from "../../support/fake_engine.ts";

const PEAKS = { flopsPerSecond: 1e9, bf16FlopsPerSecond: 4e9, bytesPerSecond: 1e8, isSteady: true };

function row(operation: string, numbers: Partial<ProfileRow> = {}): ProfileRow {
  const { calls = 1, seconds = null, flops = null, bytes = null } = numbers;
  return { operation, shape: [], format: null, calls, seconds, flops, bytes };
}

function call(row: number, start: number, seconds: number, period = 0) {
  return { row, period, start, seconds };
}

/** What the probes leave: the first call of each is slower than the second. */
const PROBED: Profile = {
  operations: [
    row("fma_probe", { calls: 2, seconds: 0.3, flops: 4e9, bytes: 0 }),
    row("copy_probe", { calls: 2, seconds: 0.7, flops: 0, bytes: 2e8 }),
  ],
  totals: NOTHING_ASKED,
  calls: [call(0, 0, 0.2), call(1, 0.2, 0.5), call(0, 0.7, 0.1), call(1, 0.8, 0.2)],
  earlierCalls: 0,
};

Deno.test("a probe's fastest call counts", () => {
  const rates = { flopsPerSecond: 2e10, bytesPerSecond: 5e8, isSteady: false };
  assert.deepEqual(peaksOf(PROBED), { ...rates, bf16FlopsPerSecond: null });
  const { operations, calls } = PROBED;
  const withBf16 = {
    ...PROBED,
    operations: [...operations, row("probe_bf16", { flops: 8e9, bytes: 0 })],
    calls: [...calls, call(2, 1, 0.1)],
  };
  assert.deepEqual(peaksOf(withBf16), { ...rates, bf16FlopsPerSecond: 8e10 });
  assert.equal(peaksOf({ ...PROBED, calls: PROBED.calls.filter(({ row }) => row === 0) }), null);
  assert.equal(peaksOf({ ...PROBED, operations: [], calls: [] }), null);
});

Deno.test("peaks are steady where three of four calls take about as long as the fastest", () => {
  const isSteady = (...times: number[]) => {
    const calls = [...times.map((seconds) => call(0, 0, seconds)), call(1, 0, 1)];
    return peaksOf({ ...PROBED, calls })?.isSteady;
  };
  assert.equal(isSteady(1), true);
  assert.equal(isSteady(9, 1.4, 1.1, 1, 1.4), true);
  assert.equal(isSteady(9, 1.6, 1.1, 1, 1.6), false);
});

Deno.test("of two measurements the faster rates count, and they are steady where both are much the same", () => {
  const join = (changes: Partial<Peaks>) => joinPeaks(PEAKS, { ...PEAKS, ...changes });
  assert.deepEqual(joinPeaks(PEAKS, null), PEAKS);
  assert.deepEqual(join({ flopsPerSecond: 1.2e9, bytesPerSecond: 3e8, bf16FlopsPerSecond: 1 }), {
    ...{ flopsPerSecond: 1.2e9, bf16FlopsPerSecond: 4e9, bytesPerSecond: 3e8, isSteady: true },
  });
  assert.equal(join({ bf16FlopsPerSecond: null }).bf16FlopsPerSecond, null);
  assert.equal(join({ isSteady: false }).isSteady, false);
  for (const flopsPerSecond of [2e9, 5e8]) assert.equal(join({ flopsPerSecond }).isSteady, false);
});

Deno.test("the least time is the longer of arithmetic and traffic", () => {
  const operation = "product_nt";
  assert.equal(leastSeconds({ operation, flops: 5e8, bytes: 1e7 }, PEAKS), 0.5);
  assert.equal(leastSeconds({ operation, flops: 0, bytes: 2e8 }, PEAKS), 2);
  assert.equal(leastSeconds({ operation, flops: null, bytes: 2e8 }, PEAKS), null);
  assert.equal(leastSeconds({ operation, flops: 0, bytes: 2e8 }, null), null);
  const inBf16 = { operation: "product_nt_bf16", flops: 4e9, bytes: 1e7 };
  assert.equal(leastSeconds(inBf16, PEAKS), 1);
  assert.equal(leastSeconds(inBf16, { ...PEAKS, bf16FlopsPerSecond: null }), null);
});

Deno.test("shapes of one operation are summed each at its own limit", () => {
  const rows = [
    row("product", { seconds: 1, flops: 5e8, bytes: 1e7 }),
    row("product", { seconds: 3, flops: 1e8, bytes: 1e8 }),
    row("host work", { seconds: 9 }),
  ];
  const [first, second] = sumByOperation(rows, PEAKS);
  assert.deepEqual([first?.operation, first?.leastSeconds], ["host work", null]);
  assert.deepEqual([second?.seconds, second?.leastSeconds], [4, 1.5]);
});

/** Two steps of which the first one's begin is not kept. */
const REPORT: ProfileReport = {
  steps: 2,
  firstStep: 11,
  seconds: 1,
  totals: NOTHING_ASKED,
  operations: [
    { ...row("product", { calls: 4, seconds: 0.2, flops: 8e6, bytes: 4e6 }), shape: [2, 3, 4] },
    { ...row("materialise", { calls: 2, seconds: 0.1, flops: 0, bytes: 2e6 }), format: "q4_0" },
  ],
  calls: [
    ...[call(0, 0.1, 0.05), call(1, 0.15, 0.05), call(0, 0.2, 0.05)],
    // Times come in late from a device that goes on meanwhile.
    ...[call(0, 1.123_456_789_1, 0.05, 1), call(1, 1, 0.05, 1)],
  ],
  earlierCalls: 1,
  peaks: PEAKS,
};
const INFO = {
  ...{ version: "0.1.0", host: "native", device: "cpu", adapter: "CPU (x86_64)", threads: 2 },
} as Parameters<typeof traceRecord>[1];

function eventsOf(report: ProfileReport): TraceEvent[] {
  const text = JSON.stringify(traceRecord(report, INFO));
  return JSON.parse(text).traceEvents;
}

Deno.test("a trace has complete events in their order, operations within their steps", () => {
  const events = eventsOf(REPORT);
  const complete = events.filter(({ ph }) => ph === "X");
  assert.equal(complete.length, REPORT.calls.length + 2);
  let last = 0;
  for (const { ts, dur } of complete) {
    assert.ok(ts! >= last && dur! >= 0);
    last = ts!;
  }
  const steps = complete.filter(({ name }) => name.startsWith("step"));
  assert.deepEqual(steps.map(({ name }) => name), ["step 11, its end", "step 12"]);
  for (const event of complete.filter((event) => !steps.includes(event))) {
    const around = steps.find(({ ts, dur }) =>
      ts! <= event.ts! && event.ts! + event.dur! <= ts! + dur! + 1e-6
    );
    assert.ok(around !== undefined && around.tid < event.tid, JSON.stringify(event));
  }
  assert.deepEqual(complete.at(-1), {
    ...{ name: "product", ph: "X", pid: 1, tid: 2, ts: 1_123_456.789, dur: 50_000 },
    args: { shape: [2, 3, 4], format: null, flops: 2e6, bytes: 1e6 },
  });
  const named = events.filter(({ ph }) => ph === "M").map(({ args }) => args["name"]);
  assert.deepEqual(named, ["spiel on CPU (x86_64)", "steps", "operations"]);
});

Deno.test("where no call is timed there is no trace", () => {
  assert.equal(traceRecord({ ...REPORT, calls: [] }, INFO), null);
});

Deno.test("profile.json has its steps, the peaks and what share of them a row reaches", () => {
  const record = JSON.parse(JSON.stringify(profileRecord(REPORT, INFO)));
  assert.deepEqual([record.first_step, record.steps], [11, 2]);
  assert.deepEqual(record.peaks, {
    gflops_per_second: 1,
    bf16_gflops_per_second: 4,
    gigabytes_per_second: 0.1,
    steady: true,
  });
  const [product] = record.operations;
  assert.equal(product.gflops_per_second, 0.04);
  assert.ok(Math.abs(product.share_of_peak - 0.2) < 1e-12);
  const unknown = profileRecord({ ...REPORT, peaks: null }, INFO);
  assert.equal(unknown["peaks"], null);
});

Deno.test("peaks are measured before the first step and after the last, and rows are put in order with their calls", async () => {
  const { engine, fake } = await openFakeEngine();
  fake.intercept = (request) => {
    if (request.op !== "profileRead") return undefined;
    const operations = [row("add", { seconds: 1 }), row("product", { seconds: 2 })];
    const calls = [call(0, 0, 1), call(1, 1, 2)];
    const profile = fake.log.includes("gradClear")
      ? { operations, calls, totals: NOTHING_ASKED, earlierCalls: 0 }
      : PROBED;
    return { kind: "profile", ...profile };
  };
  const profiler = new StepProfiler(engine, 11);
  for (let step = 0; step < 2; step++) await profiler.measure(() => engine.clearGrads());
  const report = await profiler.report();
  const asked = fake.log.filter((op) => /^(probeRun|gradClear)$/.test(op));
  assert.deepEqual(asked, ["probeRun", "gradClear", "gradClear", "probeRun"]);
  assert.deepEqual([report.steps, report.firstStep, report.peaks], [2, 11, peaksOf(PROBED)]);
  assert.deepEqual(report.operations.map(({ operation }) => operation), ["product", "add"]);
  assert.deepEqual(report.calls.map(({ row }) => row), [1, 0]);
});

Deno.test("a step that breaks down is counted with its time, profiling ends, and its cause is told", async () => {
  const { engine, fake } = await openFakeEngine();
  const profiler = new StepProfiler(engine, 1);
  const breakDown = async () => {
    await engine.clearGrads();
    await new Promise((resolve) => setTimeout(resolve, 5));
    throw new SpielError("numeric", "The loss of step 1 is not finite");
  };
  const broken = { kind: "numeric", message: "The loss of step 1 is not finite" };
  await assert.rejects(() => profiler.measure(breakDown), broken);
  assert.deepEqual(fake.log.slice(-3), ["profileSwitch", "gradClear", "profileSwitch"]);
  const { steps, seconds } = await profiler.report();
  assert.equal(steps, 1);
  assert.ok(seconds > 0.004, `${seconds} s`);
});

Deno.test("an engine that takes no more requests after a step does not hide why", async () => {
  const { engine, fake } = await openFakeEngine();
  const profiler = new StepProfiler(engine, 1);
  const trap = () => {
    fake.intercept = () => {
      throw new Error("The engine takes no more requests");
    };
    return Promise.reject(new SpielError("internal", "The engine failed: unreachable"));
  };
  await assert.rejects(() => profiler.measure(trap), {
    kind: "internal",
    message: "The engine failed: unreachable",
  });
});
