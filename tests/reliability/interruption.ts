/** Ends training runs at chosen moments, by their signal or as a crash would, and compares what runs leave behind. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Engine } from "../../src/engine/engine.ts";
import { isSpielError } from "../../src/errors.ts";
import type { TrainEvent } from "../../src/train/events.ts";
import type { RunHooks } from "../../src/train/run.ts";
import { filesUnder } from "../support/tiny_run.ts";

/** A micro-batch is about to be computed, in training or in an evaluation. */
const REQUESTS = ["forwardBackward", "forward"] as const;

/** A moment of a run. */
export interface Moment {
  /** An event, or a request to the engine before it is made. */
  readonly at: TrainEvent["type"] | typeof REQUESTS[number];
  /** Optimiser steps done by then. */
  readonly step: number;
  /** Of the requests since that step, which one; the first is 1. */
  readonly nth?: number;
}

/** `stop` fires the signal; `crash` ends the run on the spot, with nothing saved. */
export type Way = "stop" | "crash";

class Crash extends Error {}

/** Trains with the hooks given to `train` until the moment, which must come. */
export async function trainUntil(
  moment: Moment,
  way: Way,
  train: (hooks: RunHooks) => Promise<unknown>,
): Promise<void> {
  const controller = new AbortController();
  let step = 0;
  const counts = new Map<string, number>();
  const look = (at: Moment["at"]) => {
    const count = (counts.get(at) ?? 0) + 1;
    counts.set(at, count);
    if (at !== moment.at || step !== moment.step || count !== (moment.nth ?? 1)) return;
    if (way === "crash") throw new Crash();
    controller.abort();
  };
  using _spies = spyOnRequests(look);
  const onEvent = (event: TrainEvent) => {
    if ((event.type === "step" || event.type === "resumed") && event.step !== step) {
      step = event.step;
      counts.clear();
    }
    look(event.type);
  };
  const error = await train({ signal: controller.signal, onEvent }).then(
    () => new Error(`the run ended before ${JSON.stringify(moment)}`),
    (error: unknown) => error,
  );
  const isExpected = way === "crash"
    ? error instanceof Crash
    : isSpielError(error) && error.kind === "interrupted";
  if (!isExpected) throw error;
}

function spyOnRequests(look: (at: Moment["at"]) => void): Disposable {
  const originals = REQUESTS.map((name) => [name, Engine.prototype[name]] as const);
  for (const [name, original] of originals) {
    Object.assign(Engine.prototype, {
      async [name](this: Engine, ...args: unknown[]) {
        look(name);
        return await Reflect.apply(original, this, args);
      },
    });
  }
  return { [Symbol.dispose]: () => Object.assign(Engine.prototype, Object.fromEntries(originals)) };
}

/** What runs that end alike have in common to the last byte. */
export interface Remains {
  /** Files of the final checkpoint and of the adapter or model, by path. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** `metrics.jsonl` without times, peak memory and the folder's name. */
  readonly metrics: readonly string[];
}

/** Reads what a run of `steps` steps left in its folder. */
export function remainsOf(folder: string, steps: number): Remains {
  const last = `checkpoints/step-${String(steps).padStart(8, "0")}`;
  const output = [...Deno.readDirSync(folder)].map(({ name }) => name)
    .filter((name) => name === "adapter" || name === "model");
  const files = [last, ...output].flatMap((name) => [
    ...filesUnder(`${folder}/${name}`, `${name}/`),
  ]);
  const metrics = Deno.readTextFileSync(`${folder}/metrics.jsonl`)
    .replaceAll(folder, "")
    .replaceAll(/,"(?:elapsed_s|tokens_per_second|peak_memory_bytes)":[^,}]+/g, "");
  assert.ok(metrics.endsWith("\n"), "the last line is whole");
  return { files: new Map(files), metrics: metrics.slice(0, -1).split("\n") };
}

/** Asserts equal bytes. A stop saves checkpoints of its own, which the metrics then tell of besides. */
export function assertSameRemains(actual: Remains, expected: Remains, way: Way): void {
  assert.deepEqual([...actual.files.keys()], [...expected.files.keys()]);
  for (const [path, bytes] of expected.files) {
    assert.ok(Buffer.compare(actual.files.get(path)!, bytes) === 0, `${path} differs`);
  }
  const known = new Set(expected.metrics);
  const metrics = way === "crash" ? actual.metrics : actual.metrics.filter((line, index, lines) => {
    const isOfStop = !known.has(line) || lines.indexOf(line, index + 1) !== -1;
    return !(isOfStop && line.startsWith('{"event":"checkpoint"'));
  });
  assert.deepEqual(metrics, expected.metrics);
}

/** Names in a run folder that stand for unfinished or damaged work. */
export function unfinishedNames(folder: string): string[] {
  return [...filesUnder(folder).keys()].filter((path) =>
    /(^|\/)(tmp|replaced|corrupt)-/.test(path)
  );
}
