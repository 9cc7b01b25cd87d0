/** Runs that were stopped or crashed at any point end, once resumed, in the bytes of an uninterrupted run. */

import assert from "node:assert/strict";
import { denoFiles } from "../../src/io/files.ts";
import type { TrainEvent } from "../../src/train/events.ts";
import type { RunHooks } from "../../src/train/run.ts";
import type { RunOptions } from "../../src/train/run_config.ts";
import { FaultyFiles, Killed } from "../support/faulty_files.ts";
import { gpuDevices, HOSTED_DEVICES, type HostedDevice } from "../support/hosts.ts";
import { TinyRun } from "../support/tiny_run.ts";
import {
  assertSameRemains,
  type Moment,
  type Remains,
  remainsOf,
  trainUntil,
  unfinishedNames,
  type Way,
} from "./interruption.ts";

/**
 * Seven packed micro-batches an epoch, two a step: epochs end inside steps 4 and 11 and after steps 7 and 14.
 * Windows take steps 1 to 2, 4 to 6, 8 to 10 and 12 to 14, with reselections after steps 2, 6 and 10.
 */
const STEPS = 14;
const OPTIONS: Partial<RunOptions> = {
  maxSteps: undefined,
  epochs: 4,
  microBatchTokens: 64,
  gradientAccumulationSteps: 2,
  reselectionSteps: 4,
  selectionAccumulationSteps: 2,
  evalEvery: 4,
  saveEvery: 3,
};

const METHODS: Readonly<Record<string, Partial<RunOptions>>> = {
  "spiel-ag": {},
  "spiel-ma": { method: "spiel-ma", lr: 0.3 },
  "full": { method: "full", numDeltas: undefined, lr: 0.01 },
};

/** One or more moments at which the same run is interrupted, each time resumed. */
const INTERRUPTIONS: Readonly<Record<string, readonly Moment[]>> = {
  "before the first evaluation": [{ at: "data", step: 0 }],
  "in the first evaluation": [{ at: "forward", step: 0, nth: 2 }],
  "before the first step": [{ at: "eval", step: 0 }],
  "in the first accumulation": [{ at: "forwardBackward", step: 0, nth: 2 }],
  "inside a window": [{ at: "step", step: 5 }],
  "in an accumulation inside a window": [{ at: "forwardBackward", step: 5, nth: 2 }],
  "on a reselection's step": [{ at: "step", step: 6 }],
  "after a reselection": [{ at: "reselect", step: 6 }],
  "before a window opens": [{ at: "step", step: 3 }],
  "inside an epoch's edge": [{ at: "forwardBackward", step: 3, nth: 2 }],
  "at an epoch's edge": [{ at: "step", step: 7 }],
  "during an evaluation": [{ at: "forward", step: 8, nth: 2 }],
  "after an evaluation": [{ at: "eval", step: 8 }],
  "after a checkpoint": [{ at: "checkpoint", step: 9 }],
  "after the last step": [{ at: "step", step: STEPS }],
  "in the last evaluation": [{ at: "forward", step: STEPS, nth: 2 }],
  "twice in one epoch": [{ at: "step", step: 8 }, { at: "step", step: 10 }],
  "twice in one step": [{ at: "forward", step: 4, nth: 2 }, { at: "forward", step: 4, nth: 1 }],
};

/** A folder of runs on one host and device, and the uninterrupted one. */
class Runs implements Disposable {
  readonly tiny: TinyRun = new TinyRun();
  expected!: Remains;

  constructor(readonly place: HostedDevice, readonly method: Partial<RunOptions>) {}

  /** Makes the uninterrupted run. */
  async begin(): Promise<this> {
    const events = await this.train("whole");
    const count = (type: string) => events.filter((event) => event.type === type).length;
    assert.equal(count("step"), STEPS);
    assert.equal(count("reselect"), this.method.method === "full" ? 0 : 3);
    this.expected = remainsOf(this.tiny.out("whole"), STEPS);
    return this;
  }

  async train(out: string, hooks: RunHooks = {}): Promise<TrainEvent[]> {
    const options = { ...OPTIONS, ...this.method, resume: true };
    return (await this.tiny.train(this.place, out, options, hooks)).events;
  }

  /** Resumes to the end and compares. */
  async complete(out: string, way: Way): Promise<void> {
    await this.train(out);
    const folder = this.tiny.out(out);
    assertSameRemains(remainsOf(folder, STEPS), this.expected, way);
    assert.deepEqual(unfinishedNames(folder), []);
  }

  [Symbol.dispose](): void {
    this.tiny[Symbol.dispose]();
  }
}

for (const place of HOSTED_DEVICES) {
  for (const [name, method] of Object.entries(METHODS)) {
    // A crash is a matter of files, which are the same for every method.
    const ways: Way[] = name === "spiel-ag" ? ["stop", "crash"] : ["stop"];
    for (const way of ways) {
      Deno.test(`resume: ${name} after a ${way} (${place.name})`, {
        ignore: place.ignore,
      }, async (t) => {
        using runs = await new Runs(place, method).begin();
        for (const [title, moments] of Object.entries(INTERRUPTIONS)) {
          if (name === "full" && moments.some(({ at }) => at === "reselect")) continue;
          await t.step(title, () => interruptAndComplete(runs, title, moments, way));
        }
        await t.step("right after a resumption", async () => {
          await interruptAndComplete(runs, "resumed", [
            { at: "forwardBackward", step: 5, nth: 1 },
            { at: "resumed", step: way === "stop" ? 6 : 4 },
          ], way);
        });
      });
    }
  }
}

// The programs are the same on both hosts, and take their time where a CPU plays the GPU.
for (const place of (await gpuDevices()).filter(({ host }) => host === "native")) {
  for (const [name, method] of Object.entries(METHODS)) {
    Deno.test(`resume: ${name} after a stop (${place.name})`, {
      ignore: place.ignore,
    }, async (t) => {
      using runs = await new Runs(place, method).begin();
      for (const title of ["inside a window", "in an accumulation inside a window"]) {
        await t.step(title, () => interruptAndComplete(runs, title, INTERRUPTIONS[title]!, "stop"));
      }
    });
  }
}

// The order of file operations is the same on every host.
const anyPlace = HOSTED_DEVICES.find(({ ignore }) => !ignore);

Deno.test("resume: a crash at every file operation of the last steps", async (t) => {
  assert.ok(anyPlace, "no host to run on");
  using runs = await new Runs(anyPlace, {}).begin();
  const { from, calls } = await fileCalls(runs);
  for (let at = from; at < calls.length; at++) {
    await t.step(`${calls[at]} ${at - from}`, async () => {
      const out = `call-${at}`;
      const kind = at % 2 === 0 ? "kill-after" : "kill-before";
      using files = new FaultyFiles(denoFiles, { at, kind });
      await assert.rejects(() => runs.train(out, { files }), isKilled);
      files.losePower(at % 4 < 2 ? "contents" : "everything");
      await runs.complete(out, "crash");
    });
  }
});

Deno.test("resume: a line of metrics that was cut in its middle is written again", async () => {
  assert.ok(anyPlace, "no host to run on");
  using runs = await new Runs(anyPlace, {}).begin();
  const moment = { at: "checkpoint", step: 6 } as const;
  await trainUntil(moment, "crash", (hooks) => runs.train("torn", hooks));
  const path = `${runs.tiny.out("torn")}/metrics.jsonl`;
  Deno.truncateSync(path, Deno.statSync(path).size - 20);
  await runs.complete("torn", "crash");
});

Deno.test("resume: an evaluation whose line was lost is made again", async () => {
  assert.ok(anyPlace, "no host to run on");
  using runs = await new Runs(anyPlace, {}).begin();
  await runs.train("lost");
  const path = `${runs.tiny.out("lost")}/metrics.jsonl`;
  const lines = Deno.readTextFileSync(path);
  const at = lines.indexOf(`{"event":"eval","step":${STEPS},`);
  Deno.writeTextFileSync(path, lines.slice(0, at + 50));
  await runs.complete("lost", "stop");
});

async function interruptAndComplete(
  runs: Runs,
  title: string,
  moments: readonly Moment[],
  way: Way,
): Promise<void> {
  const out = title.replaceAll(/\W+/g, "-");
  for (const moment of moments) await trainUntil(moment, way, (hooks) => runs.train(out, hooks));
  await runs.complete(out, way);
}

/** The file operations of a whole run, and the number of the first one after step 11. */
async function fileCalls(runs: Runs): Promise<{ from: number; calls: string[] }> {
  using files = new FaultyFiles(denoFiles);
  let from = 0;
  await runs.train("counted", {
    files,
    onEvent: (event) => {
      if (event.type === "step" && event.step === 11) from = files.calls.length;
    },
  });
  return { from, calls: files.calls };
}

function isKilled(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof Killed) return true;
  return false;
}
