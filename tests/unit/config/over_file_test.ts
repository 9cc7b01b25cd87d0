/** Flags over a file that says something else: what gives way, and what is refused with its place. */

import assert from "node:assert/strict";
import { type ConfigEntry, resolveRunConfig } from "../../../src/train/run_config.ts";

const entry = (source: ConfigEntry["source"]) => (key: string, value: unknown): ConfigEntry => ({
  key,
  value,
  source,
});
const flag = entry({ kind: "flag" });
const set = entry({ kind: "set" });
const file = entry({ kind: "file", path: "run.yaml", line: 7, column: 1 });
const BASE = [flag("model", "base"), flag("data", ["train.jsonl"])];

Deno.test("method full over a file leaves out how many deltas the file asks for", () => {
  for (const budget of [file("density", 0.02), file("num_deltas", 5), file("rank_equivalent", 8)]) {
    const { config } = resolveRunConfig([...BASE, budget, flag("method", "full")]);
    const { density, numDeltas, rankEquivalent, lr } = config;
    assert.deepEqual([density, numDeltas, rankEquivalent], [undefined, undefined, undefined]);
    assert.equal(lr, 2e-5);
    for (const method of [file("method", "full"), set("method", "full")]) {
      const asked = [...BASE, { ...budget, source: method.source }, method];
      assert.throws(() => resolveRunConfig(asked), /needs a method with deltas/);
    }
  }
});

Deno.test("a GPU against a file's device is refused with its place", () => {
  assert.throws(() => resolveRunConfig([...BASE, file("device", "cpu"), flag("gpu", "0")]), {
    message: "--gpu cannot be combined with device cpu (run.yaml:7); expected device gpu",
  });
  assert.throws(() => resolveRunConfig([...BASE, set("device", "cpu"), flag("gpu", "0")]), {
    message: "--gpu cannot be combined with device cpu (--set); expected device gpu",
  });
});
