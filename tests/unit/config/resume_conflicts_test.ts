/** What a resumed run may change of its configuration, and what it may not. */
import assert from "node:assert/strict";
import {
  configRecord,
  resolveRunConfig,
  resumeConflicts,
  runConfig,
} from "../../../src/train/run_config.ts";

Deno.test("resuming may change the machine and the folder but not the numbers", () => {
  const base = { model: "m", data: ["d"], threads: 2 };
  const before = configRecord(runConfig(base));
  assert.deepEqual(resumeConflicts(before, runConfig({ ...base, threads: 1, keep: 9 })), []);
  assert.deepEqual(resumeConflicts(before, runConfig({ ...base, lr: 0.5, seed: 3 })), [
    "lr",
    "seed",
  ]);
});

Deno.test("a value that was renamed is still read, and no other one to a run that recorded it", () => {
  const entries = Object.entries({ model: "m", data: ["d"], packing: "ffd" });
  const given = entries.map(([key, value]) => ({
    key,
    value,
    source: { kind: "option" } as const,
  }));
  assert.equal(resolveRunConfig(given).config.packing, "pack");
  const [pack, none] = (["pack", "none"] as const).map((packing) =>
    runConfig({ model: "m", data: ["d"], packing })
  );
  const before = { ...configRecord(pack!), packing: { value: "ffd" } };
  assert.deepEqual(resumeConflicts(before, pack!), []);
  assert.deepEqual(resumeConflicts(before, none!), ["packing"]);
});

Deno.test("what is written down of a run has no secrets of addresses", () => {
  const secret = "https://a.b/c.jsonl?key=secret";
  const record = configRecord(
    runConfig({ model: `${secret}.gguf`, data: [`${secret}:0.5`], evalData: [secret] }),
  );
  assert.equal(record.model.value, "https://a.b/c.jsonl");
  assert.deepEqual(record.data.value, ["https://a.b/c.jsonl:0.5"]);
  assert.deepEqual(record.eval_data.value, ["https://a.b/c.jsonl"]);
});
