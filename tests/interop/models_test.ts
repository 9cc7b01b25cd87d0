/**
 * Models and adapters to and from Python: random models of every architecture that transformers saves, and adapters
 * that PEFT loads, have the same logits here. Runs where `SPIEL_PYTHON` names a Python with the packages of
 * check_models.py.
 */

import assert from "node:assert/strict";
import { combineAdapters } from "../../src/adapter/combine.ts";
import { openModel, type OpenModelOptions } from "../../src/adapter/open_model.ts";
import { ARCHITECTURES } from "../../src/model/architectures/mod.ts";
import { withTempDir } from "../support/temp_dir.ts";

const PYTHON = Deno.env.get("SPIEL_PYTHON");
const GOLDEN = decodeURIComponent(new URL("../golden", import.meta.url).pathname);
const TOKENS = [5, 90, 17, 33, 64, 2, 71, 8, 12];
const BOUND = 1e-3;

interface Answer {
  versions: Record<string, string>;
  results: number[][];
}

async function askPython(dir: string, cases: readonly Record<string, unknown>[]): Promise<Answer> {
  Deno.writeTextFileSync(`${dir}/cases.json`, JSON.stringify(cases));
  const script = decodeURIComponent(new URL("check_models.py", import.meta.url).pathname);
  const { code, stdout, stderr } = await new Deno.Command(PYTHON ?? "", {
    args: [script, `${dir}/cases.json`],
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  assert.equal(code, 0, text(stderr).slice(-4000));
  return JSON.parse(text(stdout).trim().split("\n").at(-1)!);
}

async function logitsOf(files: Pick<OpenModelOptions, "model" | "adapter">): Promise<Float32Array> {
  const purpose = { microBatchTokens: TOKENS.length };
  await using opened = await openModel({ ...files, device: "cpu" }, purpose);
  const tokens = Uint32Array.from(TOKENS);
  const targets = new Uint32Array(tokens.length).fill(0xFFFFFFFF);
  const cuSeqlens = Uint32Array.of(0, tokens.length);
  return (await opened.engine.forward({ tokens, targets, cuSeqlens }, "logits")).output;
}

function largestDifference(ours: Float32Array, theirs: readonly number[]): number {
  assert.equal(ours.length, theirs.length);
  return ours.reduce((most, x, i) => Math.max(most, Math.abs(x - theirs[i]!)), 0);
}

Deno.test({
  name:
    "models: one of every architecture by transformers, and a LoRA adapter of it by PEFT, have their logits here",
  ignore: PYTHON === undefined,
  fn: () =>
    withTempDir(async (dir) => {
      const cases = ARCHITECTURES.flatMap(({ modelType }) => {
        const model = `${dir}/${modelType}`;
        const adapter = `${model} with LoRA`;
        return [
          { kind: "model", model_type: modelType, model, tokens: TOKENS },
          {
            kind: "made adapter",
            model_type: `${modelType} with LoRA`,
            model,
            adapter,
            tokens: TOKENS,
          },
        ];
      });
      const { versions, results } = await askPython(dir, cases);
      const found: Record<string, number> = {};
      for (const [index, { model_type, model, adapter }] of cases.entries()) {
        found[model_type] = largestDifference(await logitsOf({ model, adapter }), results[index]!);
      }
      console.log(versions, found);
      for (const [name, difference] of Object.entries(found)) {
        assert.ok(difference < BOUND, `${name}: ${difference}`);
      }
    }),
});

Deno.test({
  name: "adapters: PEFT loads the layouts of its own that are written, with the same logits",
  ignore: PYTHON === undefined,
  fn: () =>
    withTempDir(async (dir) => {
      const model = `${GOLDEN}/tiny_llama`;
      const terms = [{ adapter: `${GOLDEN}/adapters/sft_fork_f32` }];
      const cases: { kind: string; model: string; adapter: string; tokens: number[] }[] = [];
      for (const layout of ["SUPERTUNING", "SHIRA"]) {
        const adapter = `${dir}/${layout}`;
        await combineAdapters({ terms, layout, model, out: adapter });
        cases.push({ kind: "adapter", model, adapter, tokens: TOKENS });
      }
      // Those of its own making, read here as they are.
      for (const name of ["lora_r4", "lora_r4_rslora", "dora_r4", "ia3", "supra_r4"]) {
        cases.push({
          kind: "adapter",
          model,
          adapter: `${GOLDEN}/adapters/${name}`,
          tokens: TOKENS,
        });
      }
      const { versions, results } = await askPython(dir, cases);
      const found: Record<string, number> = {};
      for (const [index, { adapter }] of cases.entries()) {
        const difference = largestDifference(await logitsOf({ model, adapter }), results[index]!);
        found[adapter.slice(adapter.lastIndexOf("/") + 1)] = difference;
      }
      console.log(versions, found);
      for (const [name, difference] of Object.entries(found)) {
        assert.ok(difference < BOUND, `${name}: ${difference}`);
      }
    }),
});

if (PYTHON === undefined) {
  console.log("interop: skipped; SPIEL_PYTHON names no Python with torch, transformers and peft");
}
