/**
 * Exported models in other programs: gguf decodes the same values, transformers gives the same logits, llama.cpp the same
 * tokens and the same greedy text. Runs where `SPIEL_PYTHON` names a Python with the packages of check_exports.py.
 */

import assert from "node:assert/strict";
import { loadTokenizer, type Tokenizer } from "../../src/data/tokenizer.ts";
import { SPELL_BYTES } from "../../src/data/tokenizer_json.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { open } from "../../src/engine/open.ts";
import type { ModelConfig } from "../../src/engine/protocol.gen.ts";
import { mergeAdapter } from "../../src/export/merge.ts";
import { generateTokens } from "../../src/generate/generate.ts";
import { ARCHITECTURES } from "../../src/model/architectures/mod.ts";
import { inferenceUse, loadModel } from "../../src/model/load.ts";
import { openModelSource } from "../../src/model/source.ts";
import { byteTokenizer } from "../support/byte_tokenizer.ts";
import { withTempDir } from "../support/temp_dir.ts";
import { tinyConfig, tinyWeights, writeTinyFolder } from "../support/tiny_model.ts";

const PYTHON = Deno.env.get("SPIEL_PYTHON");
const MODELS = Deno.env.get("SPIEL_MODELS");
const SMOLLM2 = new URL("../golden/smollm2/", import.meta.url).pathname;
const TEXTS = ["the cat can't count 12 34<|end|>\n  naïve 東京 🙂", "  </s> a\t<|turn|>b"];
const TOKENS = [116, 104, 101, 32, 99, 97, 116];
const COUNT = 16;
/** `</s>` and `<|end|>`. */
const ENDS = [261, 263];
const TYPES = ["f32", "f16", "bf16", "q8_0", "q4_0", "q4_k"] as const;

const VARIANTS: [name: string, modelType: string, changes: Partial<ModelConfig>][] = [
  ...ARCHITECTURES.map(({ modelType }) =>
    [modelType, modelType, {}] as [string, string, Partial<ModelConfig>]
  ),
  ["linear", "llama", { rope_scaling: { rope_type: "linear", factor: 2 } }],
  ["llama3", "llama", {
    tie_word_embeddings: true,
    rope_scaling: {
      rope_type: "llama3",
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 32,
    },
  }],
];

/** A model whose rows are whole blocks of every type and whose choices are clear enough for a cache in f16. */
function makeModel(dir: string, modelType: string, changes: Partial<ModelConfig>): ModelConfig {
  const tokenizer = byteTokenizer();
  const config: ModelConfig = {
    ...tinyConfig(modelType),
    vocab_size: tokenizer.vocabSize,
    hidden_size: 256,
    intermediate_size: 512,
    num_attention_heads: 8,
    num_key_value_heads: 4,
    max_position_embeddings: 512,
    ...changes,
  };
  const weights = tinyWeights(config);
  for (const [name, { data }] of weights) {
    const values = data as Float32Array;
    const isNorm = name.includes("norm");
    for (let i = 0; i < values.length; i++) values[i] = isNorm ? 1 + values[i]! : 0.3 * values[i]!;
  }
  writeTinyFolder(dir, modelType, config, weights);
  Deno.writeTextFileSync(`${dir}/tokenizer.json`, JSON.stringify(completeJson(tokenizer)));
  const special = { bos_token: "<s>", eos_token: "</s>", chat_template: tokenizer.chatTemplate };
  Deno.writeTextFileSync(`${dir}/tokenizer_config.json`, JSON.stringify(special));
  return config;
}

/** A tokenizer.json with all that the Rust library asks for. */
function completeJson({ parts: { json } }: Tokenizer): Record<string, unknown> {
  const flags = { single_word: false, lstrip: false, rstrip: false };
  const byteLevel = { ...SPELL_BYTES, use_regex: true };
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    ...json,
    added_tokens: (json.added_tokens as object[]).map((token) => ({ ...flags, ...token })),
    pre_tokenizer: byteLevel,
    decoder: byteLevel,
    model: {
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      ...json.model as object,
    },
  };
}

async function answers(engine: Engine, path: string) {
  using source = openModelSource(path);
  await loadModel(engine, source, inferenceUse(64));
  const tokens = Uint32Array.from(TOKENS);
  const targets = new Uint32Array(tokens.length).fill(0xFFFFFFFF);
  const cuSeqlens = Uint32Array.of(0, tokens.length);
  const { output } = await engine.forward({ tokens, targets, cuSeqlens }, "logits");
  const options = { maxNewTokens: COUNT, stopTokens: [], temperature: 0, topP: 1, seed: 0 };
  const generated: number[] = [];
  for await (const id of generateTokens(engine, tokens, options)) generated.push(id);
  return { logits: [...output], generated };
}

/** What is said before an answer ends, which other programs stop at. */
function upToEnd(ids: readonly number[], ends: readonly number[]): number[] {
  const end = ids.findIndex((id) => ends.includes(id));
  return ids.slice(0, end < 0 ? COUNT : Math.min(COUNT, end));
}

interface Checked {
  name: string;
  decoded?: number;
  transformers?: { logits: number; ids: number[][] };
  llama_cpp?: Omit<Expected, "ends">;
}

/** Ids of the texts, and those that are generated greedily. */
interface Expected {
  ids: number[][];
  generated: number[];
  /** Those that end an answer. */
  ends: number[];
}

/** SmolLM2 by way of a folder, so that its vocabulary is converted; what PyTorch makes of it is in the golden vectors. */
async function smollm2(
  dir: string,
): Promise<{ cases: Record<string, unknown>[]; ids: Expected[] }> {
  const read = (name: string) => JSON.parse(Deno.readTextFileSync(SMOLLM2 + name));
  const model = `${MODELS}/SmolLM2-135M-Instruct.Q4_1.gguf`;
  await mergeAdapter({ model, out: `${dir}/smollm2`, dtype: "f32" });
  await mergeAdapter({ model: `${dir}/smollm2`, out: `${dir}/smollm2-gguf`, gguf: "f32" });
  const gguf = `${dir}/smollm2-gguf/model-f32.gguf`;
  const vectors: { text: string; ids: number[] }[] = read("tokenizer_vectors.json");
  const greedy: { prompt_ids: number[]; new_ids: number[] }[] = read("expected.json").greedy;
  const texts = vectors.map(({ text }) => text);
  return {
    cases: greedy.map(({ prompt_ids: tokens }, i) => ({
      ...{ name: `smollm2 ${i}`, gguf, tokens, texts, count: COUNT },
    })),
    ids: greedy.map(({ new_ids: generated }) => ({
      ids: vectors.map(({ ids }) => ids),
      generated,
      ends: [2],
    })),
  };
}

Deno.test({
  name: "exports: gguf, transformers and llama.cpp find in them what is found here",
  ignore: PYTHON === undefined,
  fn: () =>
    withTempDir(async (dir) => {
      const cases: Record<string, unknown>[] = [];
      const expected = new Map<string, Expected>();
      await using engine = await open();
      for (const [name, modelType, changes] of VARIANTS) {
        const model = `${dir}/${name}`;
        const { head_dim } = makeModel(model, modelType, changes);
        const folder = `${model}-folder`;
        await mergeAdapter({ model, out: folder });
        const { logits, generated } = await answers(engine, folder);
        const tokenizer = loadTokenizer(folder);
        const ids = TEXTS.map((text) => [...tokenizer.encode(text, { addSpecialTokens: false })]);
        const shared = { tokens: TOKENS, texts: TEXTS, head_dim };
        cases.push({ name, ...shared, folder, logits });
        expected.set(name, { ids, generated, ends: ENDS });
        for (const type of TYPES) {
          const out = `${model}-${type}`;
          await mergeAdapter({ model, out, gguf: type });
          const gguf = `${out}/model-${type}.gguf`;
          const decoded = `${out}-decoded`;
          await mergeAdapter({ model: gguf, out: decoded, dtype: "f32" });
          // Of other types llama.cpp rounds activations too.
          const asked = type === "f32" ? { count: COUNT } : {};
          cases.push({ name: `${name} ${type}`, ...shared, gguf, decoded, ...asked });
          expected.set(`${name} ${type}`, { ids, generated, ends: ENDS });
        }
      }
      if (MODELS !== undefined) {
        const smol = await smollm2(dir);
        cases.push(...smol.cases);
        smol.ids.forEach((ids, i) => expected.set(`smollm2 ${i}`, ids));
      }
      Deno.writeTextFileSync(`${dir}/cases.json`, JSON.stringify(cases));
      const script = new URL("check_exports.py", import.meta.url).pathname;
      const { code, stdout, stderr } = await new Deno.Command(PYTHON ?? "", {
        args: [script, `${dir}/cases.json`],
      }).output();
      const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
      assert.equal(code, 0, text(stderr).slice(-4000));
      const { versions, results } = JSON.parse(text(stdout).trim().split("\n").at(-1)!) as {
        versions: Record<string, string>;
        results: Checked[];
      };
      console.log(versions);
      assert.equal(results.length, cases.length);
      const worst = { decoded: 0, logits: 0, generated: 0 };
      for (const { name, decoded, transformers, llama_cpp } of results) {
        const { ids, generated, ends } = expected.get(name)!;
        worst.decoded = Math.max(worst.decoded, decoded ?? 0);
        worst.logits = Math.max(worst.logits, transformers?.logits ?? 0);
        if (transformers !== undefined) assert.deepEqual(transformers.ids, ids, name);
        if (llama_cpp === undefined) continue;
        assert.deepEqual(llama_cpp.ids, ids, name);
        assert.deepEqual(upToEnd(llama_cpp.generated, ends), upToEnd(generated, ends), name);
        worst.generated++;
      }
      console.log(worst);
      assert.equal(worst.decoded, 0);
      assert.ok(worst.logits < 1e-3, `${worst.logits}`);
      assert.equal(worst.generated, VARIANTS.length + (MODELS === undefined ? 0 : 3));
    }),
});
