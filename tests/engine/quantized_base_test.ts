/** An adapter remembers that its base was quantised, and is measured, merged and asked with such a base again. */

import assert from "node:assert/strict";
import { combineAdapters } from "../../src/adapter/combine.ts";
import { describeAdapter } from "../../src/adapter/describe.ts";
import { mergeAdapter } from "../../mod.ts";
import { openModel } from "../../src/adapter/open_model.ts";
import { evaluateModel } from "../../src/train/evaluate_model.ts";
import type { TrainEvent } from "../../src/train/events.ts";
import { HOSTED_DEVICES } from "../support/hosts.ts";
import { TinyRun } from "../support/tiny_run.ts";

const NOTICE =
  /was trained on a base quantised to q4_0, so ".*" is quantised likewise; --quantize none/;

for (const place of HOSTED_DEVICES) {
  Deno.test(
    `quantised base: what is trained on one is used on one (${place.name})`,
    { ignore: place.ignore },
    async () => {
      using tiny = new TinyRun();
      const { summary } = await tiny.train(place, "run", { quantize: "q4_0", maxSteps: 4 });
      const adapter = summary.output!;
      assert.equal(describeAdapter(adapter).quantize, "q4_0");

      const said: string[] = [];
      const onWarning = (message: string) => void said.push(message);
      const { host, device } = place;
      const model = { model: tiny.model, host, device, onWarning } as const;
      const data = { data: [tiny.heldOut], maxLength: 48, microBatchTokens: 96 };
      const loss = async (quantize?: "none" | "q4_0" | "q8_0", on = { ...model, adapter }) =>
        (await evaluateModel({ ...on, ...data, quantize })).loss;
      const own = await loss();
      assert.match(said.pop() ?? "", NOTICE);
      assert.equal(own, summary.after?.loss);
      assert.equal(await loss("q4_0"), own);
      const [stored, other] = [await loss("none"), await loss("q8_0")];
      assert.ok(stored !== own && other !== own && stored !== other);
      assert.deepEqual(said, []);

      const merge = async (name: string, quantize?: "none") => {
        const out = tiny.out(name);
        await mergeAdapter({ ...model, adapter, out, quantize, dtype: "f32" });
        const merged = { ...model, model: out, adapter: undefined as never };
        return (await evaluateModel({ ...merged, ...data })).loss;
      };
      assert.ok(Math.abs(await merge("quantised") - own) < 1e-5);
      assert.match(said.pop() ?? "", NOTICE);
      assert.ok(Math.abs(await merge("stored", "none") - stored) < 1e-5);

      await using held = await openModel({ ...model, adapter }, { microBatchTokens: 8 });
      const formats = new Set(held.plan.tensors.map(({ format }) => format));
      assert.ok(formats.has("q4_0"));
    },
  );
}

Deno.test("quantised base: an adapter of another kind of base is begun with under a warning", async () => {
  using tiny = new TinyRun();
  const place = { host: "wasm", device: "cpu" } as const;
  const short = { maxSteps: 2, evalEvery: 0 } as const;
  const { summary } = await tiny.train(place, "run", { ...short, quantize: "q8_0" });
  const adapter = `${tiny.path}/start`;
  Deno.renameSync(summary.output!, adapter);
  const warnings = async (quantize?: "q8_0") => {
    const start = { ...short, adapter, numDeltas: undefined, quantize };
    const { events } = await tiny.train(place, `from-${quantize}`, start);
    return events.flatMap((event: TrainEvent) => event.type === "warning" ? [event.message] : []);
  };
  const about =
    /its base quantised to q8_0, which is as it is stored here; --quantize q8_0 holds it/;
  assert.equal((await warnings()).filter((message) => about.test(message)).length, 1);
  assert.equal((await warnings("q8_0")).filter((message) => /quantis/.test(message)).length, 0);

  const out = `${tiny.path}/sum`;
  await combineAdapters({ terms: [{ adapter }, { adapter }], out });
  assert.equal(describeAdapter(out).quantize, "q8_0");
});
