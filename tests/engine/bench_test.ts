/** The bench's process of its own: it measures a small model, and tells what is wrong with another. */

import assert from "node:assert/strict";
import type { Configuration } from "../../bench/configurations.ts";
import { measureAlone } from "../../bench/measurement.ts";

const MODEL = new URL("../../examples/demo/model", import.meta.url).pathname;

function measured(workload: Configuration["workload"], model = decodeURIComponent(MODEL)) {
  const configuration: Configuration = { name: "small", base: "stored", workload };
  return measureAlone({ configuration, model, steps: 1, host: "auto", precision: "f32" });
}

Deno.test("bench: a window's steps are measured in a process of their own", async () => {
  const line = await measured({
    ...{ task: "train", method: "spiel-ag", budget: { rankEquivalent: 1 }, window: true },
    ...{ checkpointing: "block", sequences: 2, length: 16 },
  });
  assert.equal(line.name, "small");
  assert.ok(line.tokens_per_second > 0 && line.peak_bytes! > 0);
  assert.ok(Number(line["candidate_step_seconds"]) > 0);
  const share = Number(line["product_share"]);
  assert.ok(share > 0 && share <= 1, `${share} of the step are products`);
});

Deno.test("bench: generation is held against what reading the weights takes", async () => {
  const line = await measured({ task: "decode" });
  assert.ok(Number(line["share_of_copy_rate"]) > 0 && Number(line["product_share"]) > 0);
});

Deno.test("bench: what goes wrong in the process is told with its configuration", async () => {
  const nowhere = measured({ task: "decode" }, "/nowhere");
  await assert.rejects(nowhere, { message: /^small: [^]*"\/nowhere" does not exist/ });
});
