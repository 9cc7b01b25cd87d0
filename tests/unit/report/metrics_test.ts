/** metrics.jsonl: its keys, torn lines, and that a resumed run reads as one run. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { denoFiles } from "../../../src/io/files.ts";
import {
  encodeMetrics,
  type MetricsEvent,
  metricsOf,
  type MetricsResumePoint,
  MetricsWriter,
  parseMetrics,
} from "../../../src/train/metrics.ts";
import { FaultyFiles } from "../../support/faulty_files.ts";
import { withTempDir } from "../../support/temp_dir.ts";

function stepAt(step: number): MetricsEvent {
  return {
    event: "step",
    step,
    loss: 2 / step,
    lr: 1e-3,
    grad_norm: 1,
    tokens: 512,
    target_tokens: 300,
    tokens_per_second: 1000,
    epoch: step / 10,
    elapsed_s: step,
  };
}

function evalAt(step: number): MetricsEvent {
  return { event: "eval", step, loss: 1, perplexity: Math.E, target_tokens: 9, elapsed_s: step };
}

const checkpointAt = (step: number): MetricsEvent => ({
  event: "checkpoint",
  step,
  path: "p",
  elapsed_s: step,
});
const reselectAt = (step: number): MetricsEvent => ({
  event: "reselect",
  step,
  dropped: 5,
  grown: 5,
  rate: 0.2,
});

/** Writes events into a new file, then reopens it at a resume point and reads what was kept. */
async function keptAfter(events: MetricsEvent[], point: MetricsResumePoint, tail = "") {
  return await withTempDir(async (dir) => {
    const path = join(dir, "metrics.jsonl");
    {
      using writer = await MetricsWriter.open(denoFiles, path, null);
      for (const event of events) await writer.write(event);
    }
    Deno.writeTextFileSync(path, tail, { append: true });
    using writer = await MetricsWriter.open(denoFiles, path, point);
    return { kept: parseMetrics(Deno.readTextFileSync(path), path), before: writer.elapsedBefore };
  });
}

Deno.test("the trainer's events have the documented keys", () => {
  const common = { lr: 1e-3, tokens: 512, epoch: 0.5, step: 3, loss: 1.5 };
  const line = metricsOf({
    type: "step",
    ...common,
    totalSteps: 10,
    gradNorm: 0.7,
    targetTokens: 300,
    tokensPerSecond: 1000,
    elapsedS: 12.00049,
    etaSeconds: 9,
  });
  assert.deepEqual(line, {
    event: "step",
    ...common,
    grad_norm: 0.7,
    target_tokens: 300,
    tokens_per_second: 1000,
    elapsed_s: 12,
  });
  assert.deepEqual(
    metricsOf({
      type: "eval",
      step: 3,
      loss: 1,
      perplexity: Math.E,
      exactMatch: 0.25,
      targetTokens: 9,
      isBest: true,
      elapsedS: 4,
    }),
    {
      event: "eval",
      step: 3,
      loss: 1,
      perplexity: Math.E,
      exact_match: 0.25,
      target_tokens: 9,
      elapsed_s: 4,
    },
  );
  assert.deepEqual(
    metricsOf({ type: "reselect", step: 3, rate: 0.2, dropped: 5, grown: 5 }),
    reselectAt(3),
  );
  assert.deepEqual(
    metricsOf({
      type: "done",
      step: 3,
      stoppedEarly: true,
      output: "a",
      savedStep: 2,
      best: { step: 2, loss: 1.5 },
      elapsedS: 4,
      peakMemoryBytes: 1024,
    }),
    {
      event: "done",
      step: 3,
      stopped_early: true,
      output: "a",
      saved_step: 2,
      best_step: 2,
      best_loss: 1.5,
      peak_memory_bytes: 1024,
      elapsed_s: 4,
    },
  );
  assert.equal(metricsOf({ type: "warning", message: "x" }), null);
});

Deno.test("a resumed file ends where the checkpoint stands", async () => {
  const run = [evalAt(0), stepAt(1), stepAt(2), reselectAt(2), evalAt(2), checkpointAt(2)];
  const later = [stepAt(3), evalAt(3), stepAt(4)];
  const { kept, before } = await keptAfter([...run, ...later], { step: 2, evaluatedStep: 2 });
  assert.deepEqual(kept, run);
  assert.equal(before, 2);
});

Deno.test("an evaluation that the checkpoint does not know of is made and written again", async () => {
  const run = [stepAt(1), stepAt(2), evalAt(2)];
  const { kept } = await keptAfter(run, { step: 2, evaluatedStep: null });
  assert.deepEqual(kept, [stepAt(1), stepAt(2)]);
});

Deno.test("a done line and a torn last line do not survive a resumption", async () => {
  const done: MetricsEvent = {
    event: "done",
    step: 2,
    stopped_early: false,
    output: "runs/a/adapter",
    saved_step: 2,
    best_step: null,
    best_loss: null,
    peak_memory_bytes: null,
    elapsed_s: 2,
  };
  const { kept } = await keptAfter(
    [stepAt(1), stepAt(2), done],
    { step: 2, evaluatedStep: null },
    encodeMetrics(stepAt(2)).slice(0, 30),
  );
  assert.deepEqual(kept, [stepAt(1), stepAt(2)]);
});

Deno.test("resuming where the file is missing starts it, and starting anew empties it", () =>
  withTempDir(async (dir) => {
    const path = join(dir, "metrics.jsonl");
    {
      using writer = await MetricsWriter.open(denoFiles, path, { step: 4, evaluatedStep: null });
      await writer.write(stepAt(5));
    }
    assert.deepEqual(parseMetrics(Deno.readTextFileSync(path), path), [stepAt(5)]);
    using writer = await MetricsWriter.open(denoFiles, path, null);
    assert.equal(Deno.readTextFileSync(path), "");
    assert.equal(writer.elapsedBefore, 0);
  }));

Deno.test("killed at any call of a reopening, the lines of the run so far are there", async () => {
  const run = [stepAt(1), stepAt(2), checkpointAt(2)];
  for (let at = 0; at < 7; at++) {
    await withTempDir(async (dir) => {
      const path = join(dir, "metrics.jsonl");
      Deno.writeTextFileSync(path, [...run, stepAt(3)].map(encodeMetrics).join(""));
      using files = new FaultyFiles(denoFiles, { at, kind: "kill-before" });
      const point = { step: 2, evaluatedStep: null };
      await assert.rejects(MetricsWriter.open(files, path, point), { kind: "storage" });
      files.losePower("everything");
      const left = parseMetrics(Deno.readTextFileSync(path), path);
      assert.deepEqual(left.slice(0, 3), run);
    });
  }
});

Deno.test("synced lines survive a loss of power", () =>
  withTempDir(async (dir) => {
    const path = join(dir, "metrics.jsonl");
    using files = new FaultyFiles(denoFiles);
    using writer = await MetricsWriter.open(files, path, null);
    await writer.write(stepAt(1));
    await writer.sync();
    files.losePower("everything");
    assert.deepEqual(parseMetrics(Deno.readTextFileSync(path), path), [stepAt(1)]);
  }));

Deno.test("a full disk is a storage error that names the file", () =>
  withTempDir(async (dir) => {
    const path = join(dir, "metrics.jsonl");
    using files = new FaultyFiles(denoFiles);
    using writer = await MetricsWriter.open(files, path, null);
    files.fault = { at: files.calls.length, kind: "error", code: "ENOSPC" };
    await assert.rejects(writer.write(stepAt(1)), {
      kind: "storage",
      message:
        `Cannot write to "${path}": no space left on the device; free some space or choose another disk`,
    });
  }));

Deno.test("lines that a full disk did not take follow once it does, and none is torn", () =>
  withTempDir(async (dir) => {
    const path = join(dir, "metrics.jsonl");
    using files = new FaultyFiles(denoFiles);
    using writer = await MetricsWriter.open(files, path, null);
    await writer.write(stepAt(1));
    // Takes a part of the line, then nothing.
    files.maxWriteBytes = 10;
    files.fault = { at: files.calls.length + 1, kind: "error", code: "ENOSPC" };
    await assert.rejects(writer.write(stepAt(2)), { kind: "storage" });
    files.fault = { at: files.calls.length, kind: "error", code: "ENOSPC" };
    await assert.rejects(writer.write(stepAt(3)), { kind: "storage" });
    assert.deepEqual(parseMetrics(Deno.readTextFileSync(path), path), [stepAt(1)]);
    await writer.write(stepAt(4));
    const lines = [1, 2, 3, 4].map(stepAt);
    assert.deepEqual(parseMetrics(Deno.readTextFileSync(path), path), lines);

    files.fault = { at: files.calls.length, kind: "error", code: "ENOSPC" };
    await assert.rejects(writer.write(stepAt(5)), { kind: "storage" });
    await writer.sync();
    assert.deepEqual(parseMetrics(Deno.readTextFileSync(path), path), [...lines, stepAt(5)]);
  }));

Deno.test("reading names the line that is not an event and leaves out a torn last one", () => {
  const good = encodeMetrics(stepAt(1));
  assert.deepEqual(parseMetrics(good + '{"event":"st', "m"), [stepAt(1)]);
  assert.deepEqual(parseMetrics("", "m"), []);
  for (const bad of ["nonsense", "[]", '{"event":"step"}', '{"step":1}']) {
    assert.throws(() => parseMetrics(`${good}${bad}\n${good}`, "runs/a/metrics.jsonl"), {
      kind: "data",
      message: /^runs\/a\/metrics.jsonl:2: expected a JSON object/,
    });
  }
});
