/** What a run is a run of does not change with the program, so that runs of older versions go on. */
import assert from "node:assert/strict";
import type { ModelSource } from "../../../src/model/source.ts";
import { runConfig, type RunOptions } from "../../../src/train/run_config.ts";
import { runIdentity, type RunParts } from "../../../src/train/run_identity.ts";

const source = { modelType: "llama", config: {} } as ModelSource;
const data = { stream: { fingerprint: "f" }, heldOut: null } as RunParts["data"];

const hashOf = async (options: Partial<RunOptions> = {}) => {
  const resolved = runConfig({ model: "m", data: ["d"], init: "random", maxSteps: 3, ...options });
  return (await runIdentity(resolved, { source, data, adapterDigest: null })).config_hash;
};

Deno.test("the options of a run hash as they did when the first runs were recorded", async () => {
  const first = "ad88990d4ce52dec252bbed96357e548bfc908491b7262484944fd6ca50941ba";
  assert.equal(await hashOf(), first);
  assert.equal(await hashOf({ threads: 3, dataWorkers: 2, data: ["moved"] }), first);
  assert.equal(await hashOf({ packing: "pack" }), first);
  assert.notEqual(await hashOf({ packing: "none" }), first);
  assert.notEqual(await hashOf({ seed: 1 }), first);
});
