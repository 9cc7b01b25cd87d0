/** The table of a profile, per step and by operation. */

import assert from "node:assert/strict";
import { showProfile } from "../../cli/profile_view.ts";
import { Ui } from "../../cli/ui.ts";
import type { ProfileReport } from "../../mod.ts";
import { rememberingTerminal } from "./terminal_fixture.ts";

const REPORT: ProfileReport = {
  steps: 2,
  firstStep: 1,
  seconds: 0.05,
  totals: { dispatches: 9, submissions: 4, readBacks: 2, readBytes: 96, writtenBytes: 4000 },
  operations: [
    {
      operation: "product_nt",
      shape: [2, 3, 4],
      format: null,
      calls: 4,
      seconds: 0.03,
      flops: 3e7,
      bytes: 6e6,
    },
    {
      operation: "product_nt",
      shape: [2, 4, 3],
      format: null,
      calls: 2,
      seconds: 0.006,
      flops: 6e6,
      bytes: 3e6,
    },
    {
      operation: "materialise",
      shape: [12],
      format: "q4_0",
      calls: 3,
      seconds: 0.004,
      flops: 0,
      bytes: 1e6,
    },
    { operation: "copy", shape: [5], format: null, calls: 1, seconds: null, flops: 0, bytes: 20 },
  ],
  calls: [],
  earlierCalls: 0,
  peaks: { bf16FlopsPerSecond: null, flopsPerSecond: 4e9, bytesPerSecond: 1e9, isSteady: true },
};

function shown(report: ProfileReport): string[] {
  const terminal = rememberingTerminal();
  showProfile(new Ui(terminal, false), report);
  return terminal.out.split("\n").map((line) => line.trim().replaceAll(/ {2,}/g, " | "));
}

Deno.test("a profile is shown per step, shapes joined, the slowest first", () => {
  const lines = shown(REPORT);
  assert.deepEqual(lines.filter((line) => line !== ""), [
    "profile of 2 steps, per step",
    "operation | calls | ms | share | GFLOP/s | GB/s | of peak",
    "product_nt | 3 | 18.000 | 90.00 % | 1.00 | 0.25 | 29.17 %",
    "materialise | 1.5 | 2.000 | 10.00 % | - | 0.25 | 25.00 %",
    "copy | 0.5 | - | - | - | - | -",
    "time | 25.0 ms, of which 20.0 ms in operations",
    "asked for | 4.5 dispatches, 2 submissions, 1 read-backs",
    "peaks | 4.00 GFLOP/s in f32 by multiply-adds alone, 1.00 GB/s by copying",
    "bytes | 2,000 written, 48 read",
  ]);
});

Deno.test("a device that multiplies in bf16 has a peak in it", () => {
  const peaks = { ...REPORT.peaks!, bf16FlopsPerSecond: 9e9 };
  const line =
    "peaks | 4.00 GFLOP/s in f32 by multiply-adds alone, 9.00 in bf16, 1.00 GB/s by copying";
  assert.ok(shown({ ...REPORT, peaks }).includes(line));
});

Deno.test("a resumed run says from which step on its profile is", () => {
  const lines = shown({ ...REPORT, firstStep: 11 });
  assert.ok(lines.includes("profile of 2 steps from step 11 on, per step"));
});

Deno.test("peaks that were measured on a busy machine are said to be", () => {
  const busy = (isSteady: boolean) =>
    shown({ ...REPORT, peaks: { ...REPORT.peaks!, isSteady } }).filter((line) =>
      line.startsWith("busy | the peaks' probes scatter, ")
    ).length;
  assert.deepEqual([busy(true), busy(false)], [0, 1]);
});

Deno.test("a profile of no step says so", () => {
  assert.ok(shown({ ...REPORT, steps: 0 }).includes("profile: no step was made"));
});

Deno.test("what a device does not count is left out", () => {
  const totals = { dispatches: 9, submissions: 0, readBacks: 0, readBytes: 0, writtenBytes: 0 };
  const operations = REPORT.operations.map((row) => ({
    ...{ ...row, shape: [], flops: null, bytes: null, seconds: row.seconds ?? 0 },
  }));
  const lines = shown({ ...REPORT, totals, operations, peaks: null });
  assert.deepEqual(lines.filter((line) => line !== ""), [
    "profile of 2 steps, per step",
    "operation | calls | ms | share",
    "product_nt | 3 | 18.000 | 90.00 %",
    "materialise | 1.5 | 2.000 | 10.00 %",
    "copy | 0.5 | 0.000 | 0.00 %",
    "time | 25.0 ms, of which 20.0 ms in operations",
    "asked for | 4.5 dispatches",
  ]);
  const untimed = operations.map((row) => ({ ...row, seconds: null }));
  assert.ok(shown({ ...REPORT, operations: untimed }).includes("operation | calls"));
});
