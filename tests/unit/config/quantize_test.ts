/** What quantising a base while it is loaded cannot be combined with. */

import assert from "node:assert/strict";
import { type ConfigEntry, resolveRunConfig } from "../../../src/train/run_config.ts";

const flag = (key: string, value: unknown): ConfigEntry => ({
  key,
  value,
  source: { kind: "flag" },
});
const BASE = [flag("model", "a"), flag("data", ["a.jsonl"])];

Deno.test("quantize: no random weights, and none that are trained themselves", () => {
  const resolve = (format: string, key: string, value: string) => () =>
    resolveRunConfig([...BASE, flag("quantize", format), flag(key, value)]);
  assert.throws(resolve("nf4", "init", "random"), /--quantize cannot be combined with init random/);
  assert.throws(resolve("q8_0", "method", "full"), /--quantize needs a method with deltas/);
  assert.equal(resolve("nf4", "method", "spiel-ma")().config.quantize, "nf4");
  assert.equal(resolve("none", "method", "full")().config.quantize, "none");
  assert.equal(resolve("none", "init", "random")().config.quantize, "none");
});
