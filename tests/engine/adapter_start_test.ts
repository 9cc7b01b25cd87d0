/** Runs that start from an adapter: its deltas survive the first reselection, and a resumed run does without it. */

import assert from "node:assert/strict";
import { combineAdapters } from "../../src/adapter/combine.ts";
import { loadAdapter } from "../../src/adapter/load.ts";
import type { RunHooks } from "../../src/train/run.ts";
import { encodeSafetensors } from "../support/encode_safetensors.ts";
import { HOSTED_DEVICES } from "../support/hosts.ts";
import { filesUnder, TinyRun } from "../support/tiny_run.ts";

/** Hooks that stop a run after a step. */
function stopAfter(step: number): RunHooks {
  const controller = new AbortController();
  return {
    signal: controller.signal,
    onEvent: (event) => {
      if (event.type === "step" && event.step === step) controller.abort();
    },
  };
}

for (const place of HOSTED_DEVICES) {
  Deno.test(
    `adapter start: deltas survive, and a resumed run does without the adapter (${place.name})`,
    {
      ignore: place.ignore,
    },
    async () => {
      using tiny = new TinyRun();
      await tiny.train(place, "first", { maxSteps: 4 });
      const adapter = `${tiny.path}/start`;
      Deno.renameSync(tiny.out("first/adapter"), adapter);
      const { events } = await tiny.train(place, "whole", { adapter, numDeltas: undefined });
      const first = events.find((event) => event.type === "reselect");
      assert.equal(first?.type === "reselect" && first.rate, 0.2 * (1 - 2 / 12));

      const resumed = { adapter, numDeltas: undefined, resume: true };
      const stopped = tiny.train(place, "cut", { adapter, numDeltas: undefined }, stopAfter(5));
      await assert.rejects(stopped, { kind: "interrupted" });
      Deno.renameSync(adapter, `${tiny.path}/moved`);
      Deno.renameSync(tiny.out("whole/adapter"), adapter);
      await assert.rejects(tiny.train(place, "cut", resumed), {
        kind: "usage",
        message: /made with another adapter to begin with/,
      });
      Deno.removeSync(adapter, { recursive: true });
      await assert.rejects(tiny.train(place, "fresh", { adapter }), {
        kind: "data",
        message: /Cannot load adapter ".*start": no such folder/,
      });
      await tiny.train(place, "cut", resumed);
      const last = (out: string) => filesUnder(tiny.out(`${out}/checkpoints/step-00000012`));
      assert.deepEqual(last("cut"), last("whole"));
    },
  );
}

for (const place of HOSTED_DEVICES) {
  Deno.test(
    `adapter start: from another layout, never from whole matrices (${place.name})`,
    { ignore: place.ignore },
    async () => {
      using tiny = new TinyRun();
      await tiny.train(place, "first", { maxSteps: 4 });
      const adapter = tiny.out("shira");
      const terms = [{ adapter: tiny.out("first/adapter") }];
      await combineAdapters({ terms, layout: "SHIRA", out: adapter });
      const options = { adapter, numDeltas: undefined, maxSteps: 2 };
      await tiny.train(place, "second", options);
      const [start, end] = [adapter, tiny.out("second/adapter")].map((folder) => {
        const spiel = JSON.parse(Deno.readTextFileSync(`${folder}/adapter_config.json`)).spiel;
        const shapeOf = (module: string) => spiel.base_shapes[module];
        return [...loadAdapter(folder, { shapeOf, weightsOf: () => undefined }).modules].map((
          [name, { values }],
        ) => `${name} ${values.length}`);
      });
      assert.deepEqual(end, start);

      const scales = tiny.out("scales");
      Deno.mkdirSync(scales);
      const name = "base_model.model.model.layers.0.self_attn.v_proj.ia3_l";
      const factors = { dtype: "F32", shape: [1, 4], data: new Float32Array(4) } as const;
      const bytes = encodeSafetensors(new Map([[name, factors]]));
      Deno.writeFileSync(`${scales}/adapter_model.safetensors`, bytes);
      Deno.writeTextFileSync(`${scales}/adapter_config.json`, '{"peft_type":"IA3"}');
      const refused = tiny.train(place, "third", { adapter: scales, numDeltas: undefined });
      await assert.rejects(refused, {
        kind: "data",
        message: /\(IA3\) changes whole matrices, and only sparse deltas can be trained on; merge/,
      });
    },
  );
}
