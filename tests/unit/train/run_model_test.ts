/** The model of a run that goes on: it is planned as the run began. */

import assert from "node:assert/strict";
import type { LoadedCheckpoint } from "../../../src/checkpoint/checkpoint.ts";
import type { Precision, Request } from "../../../src/engine/protocol.gen.ts";
import { runConfig } from "../../../src/train/run_config.ts";
import { planRun } from "../../../src/train/run_model.ts";
import { checkpointOf } from "../../support/checkpoints.ts";
import { openFakeEngine } from "../../support/fake_engine.ts";
import { toySource } from "../../support/toy_source.ts";

const { config: CONFIG } = runConfig({
  model: "m",
  data: ["d"],
  out: "o",
  maxSteps: 1,
  method: "full",
});

/** A checkpoint of a run in this precision. */
function checkpointIn(precision: Precision): LoadedCheckpoint {
  const openGroup = () => assert.fail("planning reads no tensors");
  const { state } = checkpointOf(2);
  return { path: "o", state: { ...state, precision }, groupNames: [], openGroup };
}

Deno.test("run model: a run goes on in its precision, whatever auto would be", async () => {
  const { engine, fake } = await openFakeEngine();
  const asked: (Precision | null)[] = [];
  fake.intercept = (request: Request) => {
    if (request.op === "modelCreate") asked.push(request.options.precision);
    return undefined;
  };
  const plan = (checkpoint: LoadedCheckpoint | null) =>
    planRun(engine, toySource("f32"), CONFIG, { checkpoint, adapter: null });
  await plan(null);
  await plan(checkpointIn("f32"));
  assert.deepEqual(asked, [null, null, "f32", "f32"]);
  for (const [precision, able] of [["f16", "a GPU"], ["bf16", "a CPU with AMX"]] as const) {
    const began = `^The run began with --precision ${precision}, which fake does not have`;
    await assert.rejects(() => plan(checkpointIn(precision)), {
      kind: "device",
      message: new RegExp(`${began} and a run keeps; go on with it on ${able}.*another --out$`),
    });
  }
  await engine.close();
});
