/** Early stops: what is saved is the best state, or with a warning the last where the best is lost. */

import assert from "node:assert/strict";
import { loadSftAdapter } from "../../src/adapter/sft.ts";
import type { TrainEvent } from "../../src/train/events.ts";
import { HOSTED_DEVICES } from "../support/hosts.ts";
import { TinyRun } from "../support/tiny_run.ts";

/** So high that training soon makes things worse. */
const OPTIONS = { earlyStopPatience: 1, evalEvery: 1, saveEvery: 0, lr: 5, maxSteps: 40 };

const warnings = (events: TrainEvent[]) =>
  events.flatMap((event) => event.type === "warning" ? [event.message] : []);

for (const place of HOSTED_DEVICES) {
  Deno.test(`early stop: the best state, and the last where that one is damaged (${place.name})`, {
    ignore: place.ignore,
  }, async () => {
    using tiny = new TinyRun();
    const { summary, events } = await tiny.train(place, "good", OPTIONS);
    const best = events.findLast((event) => event.type === "eval" && event.isBest);
    assert.ok(summary.stoppedEarly && best?.type === "eval" && best.step < summary.step);
    const saved = loadSftAdapter(tiny.out("good/adapter"));
    assert.equal(saved.config.spiel?.step, best.step);
    assert.deepEqual(warnings(events), []);

    const name = `step-${String(best.step).padStart(8, "0")}`;
    const damaged = await tiny.train(place, "bad", OPTIONS, {
      onEvent: (event) => {
        if (event.type !== "checkpoint" || event.step !== summary.step) return;
        Deno.truncateSync(tiny.out(`bad/checkpoints/${name}/deltas.safetensors`), 100);
      },
    });
    assert.equal(warnings(damaged.events).length, 1);
    assert.match(
      warnings(damaged.events)[0]!,
      /^Cannot load checkpoint ".*deltas.safetensors has 100 bytes, .*; the last state is saved instead/,
    );
    const last = loadSftAdapter(tiny.out("bad/adapter"));
    assert.equal(last.config.spiel?.step, summary.step);
    assert.notDeepEqual(last.modules, saved.modules);
  });
}
