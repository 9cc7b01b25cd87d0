/** Interrupted and resumed runs on every host and device end in the same bytes as uninterrupted ones. */

import assert from "node:assert/strict";
import { SpielError } from "../../src/errors.ts";
import type { TrainEvent } from "../../src/train/events.ts";
import type { RunOptions } from "../../src/train/run_config.ts";
import { HOSTED_DEVICES } from "../support/hosts.ts";
import { filesUnder, TinyRun } from "../support/tiny_run.ts";

/** A moment of a run: when the signal fires. */
interface Cut {
  name: string;
  /** Whether this event is the moment. */
  at: (event: TrainEvent) => boolean;
}

const afterStep = (step: number) => (event: TrainEvent) =>
  event.type === "step" && event.step === step;

/** Windows take steps 1 to 2, 4 to 6 and 8 to 10; evaluations follow steps 4, 8 and 12. */
const CUTS: readonly Cut[] = [
  { name: "before the first evaluation", at: ({ type }) => type === "data" },
  { name: "at step 0, evaluated", at: (event) => event.type === "eval" && event.step === 0 },
  { name: "in the first window", at: afterStep(1) },
  { name: "on the first reselection's step", at: afterStep(2) },
  { name: "after a reselection", at: (event) => event.type === "reselect" && event.step === 2 },
  { name: "as a window opens", at: afterStep(3) },
  { name: "before an evaluation", at: afterStep(4) },
  { name: "after an evaluation", at: (event) => event.type === "eval" && event.step === 4 },
  { name: "in a later window", at: afterStep(5) },
  { name: "on a later reselection's step", at: afterStep(6) },
  { name: "after a checkpoint", at: (event) => event.type === "checkpoint" && event.step === 9 },
  { name: "before the last evaluation", at: afterStep(12) },
];

/** Trains, and returns whether the signal cut the run. */
async function train(
  tiny: TinyRun,
  place: typeof HOSTED_DEVICES[number],
  out: string,
  options: Partial<RunOptions>,
  at: Cut["at"] = () => false,
): Promise<boolean> {
  const controller = new AbortController();
  const hooks = {
    signal: controller.signal,
    onEvent: (event: TrainEvent) => {
      if (at(event)) controller.abort();
    },
  };
  try {
    await tiny.train(place, out, options, hooks);
    return false;
  } catch (error) {
    assert.ok(error instanceof SpielError && error.kind === "interrupted", String(error));
    return true;
  }
}

/** The last checkpoint and the output. */
function remains(tiny: TinyRun, out: string): Map<string, Uint8Array> {
  const last = filesUnder(tiny.out(`${out}/checkpoints/step-00000012`), "checkpoint/");
  const output = ["adapter", "model"].flatMap((name) => {
    try {
      return [...filesUnder(tiny.out(`${out}/${name}`), `${name}/`)];
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw error;
    }
  });
  return new Map([...last, ...output]);
}

/** Metrics without what depends on the clock, the process or the folder. */
function metrics(tiny: TinyRun, out: string): unknown[] {
  const lines = Deno.readTextFileSync(tiny.out(`${out}/metrics.jsonl`)).trim().split("\n");
  return lines.map((line) => {
    const { elapsed_s: _e, tokens_per_second: _t, peak_memory_bytes: _m, ...told } = JSON.parse(
      line,
    );
    const { path: _p, output: _o, ...rest } = told;
    return rest;
  }).filter(({ event }) => event !== "checkpoint");
}

for (const place of HOSTED_DEVICES) {
  for (const method of ["spiel-ag", "spiel-ma", "full"] as const) {
    const options: Partial<RunOptions> = method === "full"
      ? { method, numDeltas: undefined, lr: 0.01 }
      : { method, ...(method === "spiel-ma" && { lr: 0.3 }) };

    Deno.test(`resume: ${method}, cut at twelve points (${place.name})`, {
      ignore: place.ignore,
    }, async (t) => {
      using tiny = new TinyRun();
      assert.equal(await train(tiny, place, "whole", options), false);
      const expected = remains(tiny, "whole");
      assert.ok(expected.size >= 6);
      for (const [index, { name, at }] of CUTS.entries()) {
        // Without reselections in full training there is no such moment.
        if (method === "full" && name.startsWith("after a reselection")) continue;
        await t.step(name, async () => {
          const out = `cut-${index}`;
          assert.equal(await train(tiny, place, out, options, at), true);
          assert.equal(await train(tiny, place, out, { ...options, resume: true }), false);
          assert.deepEqual(remains(tiny, out), expected);
          assert.deepEqual(metrics(tiny, out), metrics(tiny, "whole"));
        });
      }
    });
  }

  Deno.test(`resume: three interruptions in one run (${place.name})`, {
    ignore: place.ignore,
  }, async () => {
    using tiny = new TinyRun();
    await train(tiny, place, "whole", {});
    const resume = { resume: true };
    assert.equal(await train(tiny, place, "cut", resume, afterStep(1)), true);
    assert.equal(await train(tiny, place, "cut", resume, afterStep(6)), true);
    assert.equal(await train(tiny, place, "cut", resume, afterStep(9)), true);
    assert.equal(await train(tiny, place, "cut", resume), false);
    assert.deepEqual(remains(tiny, "cut"), remains(tiny, "whole"));
  });

  Deno.test(`resume: refuses other options, model and data (${place.name})`, {
    ignore: place.ignore,
  }, async () => {
    using tiny = new TinyRun();
    await train(tiny, place, "run", {}, afterStep(3));
    await assert.rejects(() => tiny.train(place, "run", {}), {
      kind: "usage",
      message: /already holds a run; go on with it by --resume/,
    });
    await assert.rejects(() => tiny.train(place, "run", { resume: true, lr: 0.5 }), {
      kind: "usage",
      message: /another lr/,
    });
    Deno.writeTextFileSync(tiny.data, '{"prompt":"a","completion":"b"}\n', { append: true });
    await assert.rejects(() => tiny.train(place, "run", { resume: true }), {
      kind: "usage",
      message: /other training data/,
    });
  });

  Deno.test(`resume: refuses other held-out data, and what is no config.json (${place.name})`, {
    ignore: place.ignore,
  }, async () => {
    using tiny = new TinyRun();
    await train(tiny, place, "run", {}, afterStep(3));
    const heldOut = Deno.readTextFileSync(tiny.heldOut);
    Deno.writeTextFileSync(tiny.heldOut, heldOut.replace("!", "."));
    await assert.rejects(() => tiny.train(place, "run", { resume: true }), {
      kind: "usage",
      message: /made with other held-out data/,
    });
    for (const damaged of ["", "{", "null", "[]", '{"lr": null}', '{"lr": 3}']) {
      Deno.writeTextFileSync(tiny.out("run/config.json"), damaged);
      await assert.rejects(() => tiny.train(place, "run", { resume: true }), {
        kind: "usage",
        message: `Run folder "${tiny.out("run")}" is not empty (checkpoints …) ` +
          "and its config.json is not that of a run; choose another --out",
      });
    }
  });

  Deno.test(`resume: a run that ended before it began leaves its folder free (${place.name})`, {
    ignore: place.ignore,
  }, async () => {
    using tiny = new TinyRun();
    assert.equal(await train(tiny, place, "run", {}, ({ type }) => type === "data"), true);
    assert.throws(() => Deno.statSync(tiny.out("run")), Deno.errors.NotFound);
    assert.equal(await train(tiny, place, "run", { maxSteps: 1 }), false);
  });

  Deno.test(`resume: a finished run is said to be so, and left as it is (${place.name})`, {
    ignore: place.ignore,
  }, async () => {
    using tiny = new TinyRun();
    const { summary } = await tiny.train(place, "run", {});
    const before = filesUnder(tiny.out("run"));
    const again = await tiny.train(place, "run", { resume: true });
    const [files, ...rest] = again.events;
    assert.equal(files?.type, "files");
    assert.deepEqual(rest, [{ type: "finished", step: 12, output: summary.output }]);
    assert.deepEqual(filesUnder(tiny.out("run")), before);
    const known = (
      { step, output, savedStep, best, before, after }: typeof summary,
    ) => [step, output, savedStep, best, before, after];
    assert.deepEqual(known(again.summary), known(summary));
    // What is missing or damaged is made again.
    const harms = [
      () => Deno.removeSync(summary.output!, { recursive: true }),
      () => Deno.truncateSync(`${summary.output}/adapter_model.safetensors`, 100),
    ];
    for (const harm of harms) {
      harm();
      await tiny.train(place, "run", { resume: true });
      const made = filesUnder(tiny.out("run/adapter"));
      for (const [name, bytes] of made) assert.deepEqual(bytes, before.get(`adapter/${name}`));
    }
  });

  Deno.test(`resume: what auto took may be asked for by its name (${place.name})`, {
    ignore: place.ignore,
  }, async () => {
    using tiny = new TinyRun();
    await train(tiny, place, "whole", { precision: "auto" });
    await train(tiny, place, "run", { precision: "auto" }, afterStep(3));
    // Whatever the machine, a matrix that is stored in f32 is multiplied in f32.
    const [f32, auto] = (["f32", "auto"] as const).map((precision) => ({
      precision,
      resume: true,
    }));
    await assert.rejects(() => tiny.train(place, "run", { ...f32, precision: "bf16" }), {
      kind: "usage",
      message: `Cannot resume "${tiny.out("run")}" with precision bf16: the run began with ` +
        "precision auto, which took f32; give auto or f32, or start anew with another --out",
    });
    assert.equal(await train(tiny, place, "run", f32!, afterStep(6)), true);
    assert.equal(await train(tiny, place, "run", auto!, afterStep(9)), true);
    assert.equal(await train(tiny, place, "run", f32!), false);
    assert.deepEqual(remains(tiny, "run"), remains(tiny, "whole"));
    await assert.rejects(() => tiny.train(place, "run", { ...f32, lr: 0.5 }), {
      kind: "usage",
      message: /another lr \(0\.5, before 0\.02\);/,
    });
  });

  Deno.test(`resume: a dry run plans what is left and changes nothing (${place.name})`, {
    ignore: place.ignore,
  }, async () => {
    using tiny = new TinyRun();
    const dry = (options: Partial<RunOptions> = {}) =>
      tiny.train(place, "run", { resume: true, dryRun: true, ...options });
    const stepOf = ({ events }: Awaited<ReturnType<typeof dry>>) =>
      events.flatMap((event) => event.type === "estimated" ? [event.step] : []);
    assert.deepEqual(stepOf(await dry()), [0]);
    assert.throws(() => Deno.statSync(tiny.out("run")), Deno.errors.NotFound);
    await train(tiny, place, "run", { precision: "auto" }, afterStep(7));
    const before = filesUnder(tiny.out("run"));
    assert.deepEqual(stepOf(await dry()), [7]);
    await assert.rejects(() => dry({ lr: 0.5 }), { kind: "usage", message: /another lr/ });
    await assert.rejects(() => dry({ precision: "bf16" }), { kind: "usage", message: /took f32/ });
    await assert.rejects(() => dry({ data: [tiny.heldOut] }), { message: /other training data/ });
    assert.deepEqual(filesUnder(tiny.out("run")), before);
    await train(tiny, place, "run", { resume: true });
    const { events, summary } = await dry();
    assert.deepEqual(events.at(-1), { type: "finished", step: 12, output: summary.output });
  });

  Deno.test(`resume: with nothing to resume a run begins (${place.name})`, {
    ignore: place.ignore,
  }, async () => {
    using tiny = new TinyRun();
    const { summary } = await tiny.train(place, "run", { resume: true, maxSteps: 2 });
    assert.equal(summary.step, 2);
  });
}

const NATIVE = HOSTED_DEVICES.find(({ name }) => name === "native:cpu");
const WASM = HOSTED_DEVICES.find(({ name }) => name === "wasm:cpu");

Deno.test("resume: a run that goes on on another host says that its bits will differ", {
  ignore: NATIVE === undefined || WASM === undefined || NATIVE.ignore || WASM.ignore,
}, async () => {
  using tiny = new TinyRun();
  await train(tiny, NATIVE!, "run", {}, afterStep(3));
  const { events, summary } = await tiny.train(WASM!, "run", { resume: true });
  const warnings = events.flatMap((event) => event.type === "warning" ? [event.message] : []);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0]!, /^Up to step 3 this run was on host native, .* on host wasm/);
  assert.equal(summary.step, 12);
});
