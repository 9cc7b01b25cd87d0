/** The demo, run as a user runs it, and its files. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { type EvalMetrics, evaluateModel, openModelSource } from "../../mod.ts";
import { loadAdapter } from "../../src/adapter/load.ts";
import { removeEarlierRun } from "../../examples/demo/run.ts";
import { demoData, demoModelFiles } from "../../tools/make_demo.ts";
import { withTempDir } from "../support/temp_dir.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const DEMO = join(ROOT, "examples/demo");
const RUN = join(ROOT, "runs/demo");

Deno.test("the demo goes from under 10 % to over 90 % through at most 5 % of the weights", async () => {
  const first = await runDemo();
  assert.equal(first.code, 0, first.output);

  const evaluations = readEvaluations();
  const [before, after] = [evaluations[0], evaluations.at(-1)];
  assert.equal(before?.step, 0);
  assert.ok((before?.exact_match ?? 1) < 0.1, `exact match before: ${before?.exact_match}`);
  assert.ok((after?.exact_match ?? 0) > 0.9, `exact match after: ${after?.exact_match}`);
  assert.match(first.output, /host +wasm/);
  assert.match(first.output, /runs\/demo\/adapter/);
  assert.match(first.output, /runs\/demo\/report\.html/);
  assert.ok(Deno.statSync(join(RUN, "report.html")).isFile);

  const share = deltasOf(join(RUN, "adapter")) / weightsOf(join(DEMO, "model"));
  assert.ok(share > 0 && share <= 0.05, `share of the weights trained: ${share}`);

  const saved = await evaluateModel({
    model: join(DEMO, "model"),
    adapter: join(RUN, "adapter"),
    data: [join(DEMO, "heldout.jsonl")],
    host: "wasm",
    maxLength: 64,
    evalExamples: 50,
    evalGenerate: 50,
  });
  assert.ok((saved.exactMatch ?? 0) > 0.9, `exact match of the saved adapter: ${saved.exactMatch}`);
});

Deno.test("the demo's files are under 6 MB and are what the tool makes", () => {
  assert.ok(bytesUnder(DEMO) < 6e6, `${bytesUnder(DEMO)} bytes`);
  for (const [name, text] of demoData()) {
    assert.ok(Deno.readTextFileSync(join(DEMO, name)) === text, `${name} differs`);
  }
  for (const [name, text] of demoModelFiles()) {
    assert.ok(Deno.readTextFileSync(join(DEMO, "model", name)) === text, `model/${name} differs`);
  }
});

Deno.test("no held-out name is in the training examples", () => {
  const names = (text = "") => text.match(/(?<=Cite: )[a-z ]+/g) ?? [];
  const data = demoData();
  const trained = new Set(names(data.get("train.jsonl")));
  const heldOut = names(data.get("heldout.jsonl"));
  assert.ok(heldOut.length >= 100 && trained.size > heldOut.length);
  assert.deepEqual(heldOut.filter((name) => trained.has(name)), []);
});

Deno.test("the demo replaces its own earlier run", async () => {
  await withTempDir(async (folder) => {
    const out = join(folder, "demo");
    assert.equal(await removeEarlierRun({ out, model: "base" }), false);
    makeRun(out, "base");
    assert.equal(await removeEarlierRun({ out, model: "base" }), true);
    assert.deepEqual([...Deno.readDirSync(folder)], []);
  });
});

Deno.test("the demo leaves other folders and runs in use alone", async () => {
  await withTempDir(async (folder) => {
    const other = join(folder, "other");
    makeRun(other, "another model");
    assert.equal(await removeEarlierRun({ out: other, model: "base" }), false);
    assert.ok(Deno.statSync(join(other, "checkpoints")).isDirectory);

    const notes = join(folder, "notes");
    Deno.mkdirSync(notes);
    Deno.writeTextFileSync(join(notes, "config.json"), "not JSON");
    assert.equal(await removeEarlierRun({ out: notes, model: "base" }), false);
    assert.ok(Deno.statSync(join(notes, "config.json")).isFile);

    const used = join(folder, "used");
    makeRun(used, "base");
    using lock = Deno.openSync(join(used, "run.lock"), { write: true, create: true });
    lock.lockSync(true);
    assert.equal(await removeEarlierRun({ out: used, model: "base" }), false);
    assert.ok(Deno.statSync(join(used, "checkpoints")).isDirectory);
  });
});

/** Makes the folder of a run of a model. */
function makeRun(out: string, model: string): void {
  Deno.mkdirSync(join(out, "checkpoints"), { recursive: true });
  Deno.writeTextFileSync(join(out, "config.json"), JSON.stringify({ model: { value: model } }));
}

async function runDemo(): Promise<{ code: number; output: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "demo"],
    cwd: ROOT,
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, output: decoder.decode(stdout) + decoder.decode(stderr) };
}

function readEvaluations(): EvalMetrics[] {
  const lines = Deno.readTextFileSync(join(RUN, "metrics.jsonl")).trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line)).filter(({ event }) => event === "eval");
}

function deltasOf(adapter: string): number {
  const modules = [...loadAdapter(adapter).modules.values()];
  return modules.reduce((sum, { indices }) => sum + indices.length, 0);
}

function weightsOf(model: string): number {
  using source = openModelSource(model);
  const shapes = [...source.tensors.values()].map(({ shape }) => shape);
  return shapes.reduce((sum, shape) => sum + shape.reduce((a, b) => a * b, 1), 0);
}

function bytesUnder(folder: string): number {
  let bytes = 0;
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    const path = join(folder, name);
    bytes += isDirectory ? bytesUnder(path) : Deno.statSync(path).size;
  }
  return bytes;
}
