/** Checks adapter folders of every layout that is read: logits with the adapter applied, and after merging it. */

import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { baseModelOf, countFittingDeltas, fittingChanges } from "../../src/adapter/base_model.ts";
import { LAYOUTS } from "../../src/adapter/layouts/mod.ts";
import { loadAdapter } from "../../src/adapter/load.ts";
import type { Batch, Engine } from "../../src/engine/engine.ts";
import { IGNORE, type ModelPlan } from "../../src/engine/protocol.gen.ts";
import { denoFiles } from "../../src/io/files.ts";
import { isFile, isFolder, readJsonObject } from "../../src/io/random_access.ts";
import { SafetensorsFile } from "../../src/io/safetensors.ts";
import { attachDeltas, inferenceUse, loadModel } from "../../src/model/load.ts";
import { saveModel } from "../../src/model/save.ts";
import { openModelSource } from "../../src/model/source.ts";
import { type CheckResult, Deviations, main, numbersOf } from "./check.ts";

/** The fair bound of the goldens' README, absolute. */
const LOGITS_BOUND = 1e-4;

const CONFIG = "adapter_config.json";

/** Checks one adapter folder, or every one in a folder of them; other layouts are listed by their `peft_type`. */
export async function checkAdapters(engine: Engine, folder: string): Promise<CheckResult> {
  const deviations = new Deviations();
  const checked: string[] = [];
  const unsupported: Record<string, string[]> = {};
  for (const adapter of adapterFolders(resolve(folder))) {
    const { peft_type: layout, base_model_name_or_path: base } = readJsonObject(
      join(adapter, CONFIG),
      1 << 20,
    );
    if (LAYOUTS.some(({ peftType }) => peftType === layout)) {
      await checkOne(engine, adapter, findBase(adapter, String(base)), deviations);
      checked.push(basename(adapter));
    } else {
      (unsupported[String(layout)] ??= []).push(basename(adapter));
    }
  }
  return { deviations, details: { checked, unsupported } };
}

function adapterFolders(folder: string): string[] {
  if (isFile(join(folder, CONFIG))) return [folder];
  const found = readdirSync(folder).sort().map((name) => join(folder, name))
    .filter((path) => isFile(join(path, CONFIG)));
  if (found.length === 0) throw new Error(`${folder} neither is nor holds an adapter folder`);
  return found;
}

/** Looks for the base model beside the adapter, then beside each folder above it. */
function findBase(adapter: string, name: string): string {
  for (let above = dirname(adapter);; above = dirname(above)) {
    const candidate = resolve(above, name);
    if (isFolder(candidate)) return candidate;
    if (above === dirname(above)) throw new Error(`${adapter}: no base model "${name}" near it`);
  }
}

async function checkOne(
  engine: Engine,
  folder: string,
  base: string,
  deviations: Deviations,
): Promise<void> {
  const name = basename(folder);
  using expected = SafetensorsFile.open(join(folder, "expected.safetensors"));
  using source = openModelSource(base);
  const adapter = loadAdapter(folder, baseModelOf(source));
  const batch = batchOf(expected);
  const tokens = batch.tokens.length;
  const use = {
    ...inferenceUse(tokens),
    deltas: (plan: ModelPlan) => countFittingDeltas(adapter, folder, plan, base),
    changes: fittingChanges(adapter, folder, source, "f32"),
  };
  const plan = await loadModel(engine, source, use);
  await attachDeltas(engine, adapter.modules);
  const logits = (await engine.forward(batch, "logits")).output;
  const hasMerged = expected.tensors.has("logits_merged");
  // A dense change is made in the matrix, as a merge does it: beside the matrix, sums round otherwise.
  const made = adapter.changes.size > 0 && hasMerged ? "logits_merged" : "logits";
  deviations.noteArrays(`${name}.logits`, logits, numbersOf(expected, made), LOGITS_BOUND);
  if (!hasMerged) return;

  const temporary = mkdtempSync(join(tmpdir(), "spiel-merged-"));
  try {
    const out = join(temporary, "model");
    await saveModel(denoFiles, engine, source, plan.tensors, out, { dtype: "f32" });
    using merged = openModelSource(out);
    await loadModel(engine, merged, inferenceUse(tokens));
    const { output } = await engine.forward(batch, "logits");
    const wanted = numbersOf(expected, "logits_merged");
    deviations.noteArrays(`${name}.logits_merged`, output, wanted, LOGITS_BOUND);
  } finally {
    rmSync(temporary, { recursive: true });
  }
}

/** The rows of `input_ids`, which have no padding, as one packed micro-batch. */
function batchOf(expected: SafetensorsFile): Batch {
  const [rows = 0, length = 0] = expected.entry("input_ids").shape;
  const tokens = Uint32Array.from(numbersOf(expected, "input_ids"));
  return {
    tokens,
    targets: new Uint32Array(tokens.length).fill(IGNORE),
    cuSeqlens: Uint32Array.from({ length: rows + 1 }, (_, row) => row * length),
  };
}

if (import.meta.main) await main("check_adapters", checkAdapters);
