/** The model of a run that goes on: it is planned as the run began. */

import assert from "node:assert/strict";
import type { LoadedCheckpoint } from "../../../src/checkpoint/checkpoint.ts";
import { deviceFailure } from "../../../src/engine/failure.ts";
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
  precision: "auto",
});

/** A checkpoint of a run in this precision. */
function checkpointIn(precision: Precision | undefined): LoadedCheckpoint {
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
  const plan = (checkpoint: LoadedCheckpoint | null, config = CONFIG) =>
    planRun(engine, toySource("f32"), config, { checkpoint, adapter: null });
  await plan(null);
  await plan(checkpointIn("f32"));
  assert.deepEqual(asked, [null, null, "f32", "f32"]);
  for (const precision of ["f16", "bf16"] as const) {
    const refused = (error: Error) => {
      assert.match(error.message, new RegExp(`^The run has multiplied in ${precision} so far, `));
      // So that another device is tried where the choice is free.
      assert.equal(deviceFailure(error), error.message);
      return true;
    };
    await assert.rejects(() => plan(checkpointIn(precision)), refused);
  }
  // Older checkpoints say nothing, and their runs are known by their options.
  const older = checkpointIn(undefined);
  const began = { ...CONFIG, precision: "f32" } as const;
  await plan(older, began);
  assert.deepEqual(asked.slice(4), ["f32", "f32"]);
  await assert.rejects(() => plan(older, { ...CONFIG, precision: "f16" }), {
    message: /^The run has multiplied in f16 so far, /,
  });
  await engine.close();
});
