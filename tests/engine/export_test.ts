/** Exported models: GGUF files of every architecture and type, folders cut as the base, and a self-test that finds faults. */

import assert from "node:assert/strict";
import { tokenizerFiles } from "../../src/data/tokenizer.ts";
import type { Engine } from "../../src/engine/engine.ts";
import type { ModelConfig } from "../../src/engine/protocol.gen.ts";
import { GGUF_TYPES, storedFormat } from "../../src/export/gguf_types.ts";
import { mergeAdapter, type MergeOptions } from "../../src/export/merge.ts";
import { alikeInWords, wordsOf } from "../../src/export/words.ts";
import { denoFiles, type Files } from "../../src/io/files.ts";
import { GgufFile } from "../../src/io/gguf.ts";
import { SafetensorsFolder } from "../../src/io/safetensors_shards.ts";
import { ARCHITECTURES } from "../../src/model/architectures/mod.ts";
import { inferenceUse, loadModel } from "../../src/model/load.ts";
import { openModelSource } from "../../src/model/source.ts";
import { tokenizerOf } from "../../src/model/tokenizer.ts";
import { editTensor } from "../bad_files/kinds.ts";
import { byteTokenizer } from "../support/byte_tokenizer.ts";
import { encodeSafetensors } from "../support/encode_safetensors.ts";
import { HOSTED_DEVICES } from "../support/hosts.ts";
import { withTempDir } from "../support/temp_dir.ts";
import { tinyConfig, tinyWeights, writeTinyFolder } from "../support/tiny_model.ts";

const GOLDEN = new URL("../golden/", import.meta.url).pathname;
const PLACE = HOSTED_DEVICES.find(({ ignore }) => !ignore)!;
const HOST = { host: PLACE.host, device: PLACE.device };

/** A folder with a model that has a tokenizer. */
function model(dir: string, modelType = "llama", changes: Partial<ModelConfig> = {}): string {
  const tokenizer = byteTokenizer();
  const config = { ...tinyConfig(modelType), vocab_size: tokenizer.vocabSize + 4, ...changes };
  writeTinyFolder(dir, modelType, config, tinyWeights(config));
  for (const [name, text] of tokenizerFiles(tokenizer)) {
    Deno.writeTextFileSync(`${dir}/${name}`, text);
  }
  const special = { bos_token: "<s>", eos_token: "</s>", chat_template: tokenizer.chatTemplate };
  Deno.writeTextFileSync(`${dir}/tokenizer_config.json`, JSON.stringify(special));
  const ends = { bos_token_id: 260, eos_token_id: [261, 263] };
  Deno.writeTextFileSync(`${dir}/generation_config.json`, JSON.stringify(ends));
  return dir;
}

/** A golden model with a tokenizer for its 256 tokens beside it. */
function golden(dir: string, name: string): string {
  Deno.mkdirSync(dir);
  for (const file of ["config.json", "model.safetensors"]) {
    Deno.copyFileSync(`${GOLDEN}${name}/${file}`, `${dir}/${file}`);
  }
  const { vocab_size } = JSON.parse(Deno.readTextFileSync(`${dir}/config.json`));
  const parts = byteTokenizer().parts;
  const { vocab } = parts.json.model as { vocab: Record<string, number> };
  const few = Object.entries(vocab).filter(([, id]) => id < Math.min(256, vocab_size - 1));
  const json = {
    ...parts.json,
    model: { type: "BPE", vocab: Object.fromEntries(few), merges: [] },
    added_tokens: [],
  };
  Deno.writeTextFileSync(`${dir}/tokenizer.json`, JSON.stringify(json));
  return dir;
}

const TOKENS = Uint32Array.of(5, 9, 100, 31, 7, 120, 33, 6);

async function logits(engine: Engine, path: string): Promise<Float32Array> {
  using source = openModelSource(path);
  await loadModel(engine, source, inferenceUse(16));
  const targets = new Uint32Array(TOKENS.length).fill(0xFFFFFFFF);
  const cuSeqlens = Uint32Array.of(0, TOKENS.length);
  return (await engine.forward({ tokens: TOKENS, targets, cuSeqlens }, "logits")).output;
}

const exported = (options: Omit<MergeOptions, "host" | "device">) =>
  mergeAdapter({ ...HOST, ...options });

Deno.test("export: a GGUF file in f32 is the same model, of every architecture", async () => {
  await using engine = await PLACE.open();
  await withTempDir(async (dir) => {
    const models = [
      ...ARCHITECTURES.map(({ modelType }) => model(`${dir}/${modelType}`, modelType)),
      model(`${dir}/window`, "mistral", { sliding_window: 5 }),
      model(`${dir}/linear`, "llama", { rope_scaling: { rope_type: "linear", factor: 2 } }),
      model(`${dir}/tied`, "qwen3", { tie_word_embeddings: true }),
      golden(`${dir}/g1`, "tiny_llama"),
      golden(`${dir}/g2`, "tiny_llama_tied_rope3"),
      golden(`${dir}/g3`, "tiny_phi3"),
    ];
    for (const path of models) {
      const out = `${path}.out`;
      const { selfTest } = await exported({ model: path, gguf: "f32", out });
      assert.ok(selfTest !== null && selfTest.tokens > 30, path);
      assert.ok(selfTest.difference < 1e-6 && selfTest.sameChoice === 1, path);
      const [before, after] = [
        await logits(engine, path),
        await logits(engine, `${out}/model-f32.gguf`),
      ];
      assert.deepEqual(after, before, path);
      assert.deepEqual([...Deno.readDirSync(out)].map(({ name }) => name).sort(), [
        "Modelfile",
        "model-f32.gguf",
      ]);
    }
  });
});

Deno.test("export: a weight that no type holds is refused, also without the self-test", () =>
  withTempDir(async (dir) => {
    const path = model(`${dir}/base`);
    const name = "model.layers.1.mlp.up_proj.weight";
    editTensor(`${path}/model.safetensors`, name, ({ data }) => {
      new DataView(data.buffer, data.byteOffset).setFloat32(4 * 40, NaN, true);
      return { data };
    });
    for (const gguf of ["f16", "q8_0", "q4_k"] as const) {
      const options = { model: path, gguf, out: `${dir}/${gguf}`, selfTest: false };
      await assert.rejects(() => exported(options), { kind: "data", message: RegExp(name) });
    }
  }));

Deno.test("export: adapters of every kind are in it, rounded once", async () => {
  await using engine = await PLACE.open();
  await withTempDir(async (dir) => {
    const base = golden(`${dir}/base`, "tiny_llama");
    const plain = await logits(engine, base);
    for (const name of ["sft_fork_f32", "lora_r4", "ia3"]) {
      const adapter = `${GOLDEN}adapters/${name}`;
      const folder = `${dir}/${name}`;
      await exported({ model: base, adapter, out: folder });
      const merged = await logits(engine, folder);
      assert.notDeepEqual(merged, plain);
      for (const gguf of ["f32", "q8_0"] as const) {
        const out = `${folder}-${gguf}`;
        const { selfTest } = await exported({ model: base, adapter, out, gguf });
        if (gguf === "f32") assert.ok(selfTest!.difference < 1e-5, name);
      }
      assert.deepEqual(await logits(engine, `${folder}-f32/model-f32.gguf`), merged, name);
      // What is quantised again is quantised from the sum in f32.
      await exported({ model: folder, out: `${folder}-again`, gguf: "q8_0" });
      assert.deepEqual(
        await logits(engine, `${folder}-q8_0/model-q8_0.gguf`),
        await logits(engine, `${folder}-again/model-q8_0.gguf`),
        name,
      );
    }
  });
});

Deno.test("export: metadata, ends of answers and the Modelfile are of the model", () =>
  withTempDir(async (dir) => {
    await exported({ model: model(`${dir}/tiny`), gguf: "bf16", out: `${dir}/out` });
    const path = `${dir}/out/model-bf16.gguf`;
    using file = GgufFile.open(path);
    const keys = ["general.architecture", "general.name", "general.file_type"];
    assert.deepEqual(keys.map((key) => file.metadata.get(key)), ["llama", "tiny", 32]);
    const types = Map.groupBy(file.tensors.values(), ({ shape }) => shape.length);
    assert.deepEqual(new Set(types.get(1)?.map(({ type }) => type.name)), new Set(["F32"]));
    assert.deepEqual(new Set(types.get(2)?.map(({ type }) => type.name)), new Set(["BF16"]));
    using source = openModelSource(path);
    assert.deepEqual(new Set(tokenizerOf(source).stopTokens), new Set([261, 263]));
    assert.equal(
      Deno.readTextFileSync(`${dir}/out/Modelfile`),
      'FROM ./model-bf16.gguf\nTEMPLATE """{{ range .Messages }}' +
        '{{ if eq .Role "system" }}<|turn|>system\n{{ .Content }}<|end|>\n' +
        '{{ else if eq .Role "user" }}<|turn|>user\n{{ .Content }}<|end|>\n<|turn|>assistant\n' +
        '{{ else }}{{ .Content }}<|end|>\n{{ end }}{{ end }}"""\n' +
        'PARAMETER stop "</s>"\nPARAMETER stop "<|end|>"\n',
    );
  }));

Deno.test("export: a folder names every token that ends an answer, also those of the chat template", () =>
  withTempDir(async (dir) => {
    const base = model(`${dir}/tiny`);
    const declared = (folder: string) =>
      JSON.parse(Deno.readTextFileSync(`${folder}/generation_config.json`)).eos_token_id;
    Deno.writeTextFileSync(`${base}/generation_config.json`, '{"eos_token_id": 261, "top_k": 5}');
    await exported({ model: base, out: `${dir}/out` });
    assert.deepEqual(declared(`${dir}/out`), [261, 263]);
    await exported({ model: base, gguf: "f32", out: `${dir}/gguf` });
    await exported({ model: `${dir}/gguf/model-f32.gguf`, out: `${dir}/again` });
    assert.deepEqual(declared(`${dir}/again`), [261, 263]);
  }));

Deno.test("export: a folder that does not name the end of a turn fails its self-test", () =>
  withTempDir((dir) => {
    const base = model(`${dir}/tiny`);
    const words = (ends: number[]) => {
      Deno.writeTextFileSync(
        `${base}/generation_config.json`,
        JSON.stringify({ eos_token_id: ends }),
      );
      using source = openModelSource(base);
      return wordsOf(source)!;
    };
    const [whole, damaged] = [words([261, 263]), words([261])];
    assert.equal(alikeInWords(damaged, whole), null);
    assert.equal(
      alikeInWords(whole, damaged),
      "its answers end at the tokens 261, the model's at 261, 263",
    );
  }));

Deno.test("export: every type is stored as it says, and its cost in loss is told", () =>
  withTempDir(async (dir) => {
    const base = model(`${dir}/tiny`, "llama", {
      hidden_size: 256,
      intermediate_size: 512,
      num_attention_heads: 8,
    });
    Deno.writeTextFileSync(`${dir}/data.jsonl`, '{"prompt": "say", "completion": "it is"}\n');
    const testData = { paths: [`${dir}/data.jsonl`], maxLength: 64 };
    const costs = new Map<string, number>();
    for (const gguf of GGUF_TYPES) {
      const out = `${dir}/${gguf}`;
      const { selfTest, bytes } = await exported({ model: base, gguf, out, testData });
      assert.ok(selfTest?.data !== undefined && selfTest.data.tokens > 3);
      const { before, after } = selfTest.conversation;
      costs.set(gguf, Math.abs(after - before));
      assert.ok(Number.isFinite(selfTest.data.after - selfTest.data.before));
      using file = GgufFile.open(`${out}/model-${gguf}.gguf`);
      const stored = [...file.tensors.values()].reduce((sum, one) => sum + one.byteLength, 0);
      assert.equal(stored, bytes);
      const head = file.tensors.get("output.weight")?.type.name;
      const up = file.tensors.get("blk.0.ffn_up.weight")?.type.name;
      assert.equal(up, gguf.toUpperCase());
      assert.equal(head, gguf.startsWith("q4") ? "Q6_K" : up);
    }
    assert.ok(costs.get("f32")! < 1e-5 && costs.get("f16")! < 1e-2, `${[...costs]}`);
  }));

Deno.test("export: which tensors of 4-bit models have more bits, and what narrow rows are stored in", () => {
  const config = { ...tinyConfig("llama"), num_hidden_layers: 16 };
  const info = (format: string) => ({
    blockElements: format.endsWith("_k") ? 256 : format.startsWith("q") ? 32 : 1,
  });
  const stored = (type: "q4_0" | "q4_k", name: string, columns = 512, tied = false) =>
    storedFormat(
      type,
      { name, shape: [8, columns] },
      { ...config, tie_word_embeddings: tied },
      info,
    );
  const layer = (n: number, part: string) => `model.layers.${n}.${part}.weight`;
  const more = Array.from({ length: 16 }, (_, n) => n)
    .filter((n) => stored("q4_k", layer(n, "mlp.down_proj")) === "q6_k");
  assert.deepEqual(more, [0, 1, 4, 7, 10, 13, 14, 15]);
  assert.equal(stored("q4_k", layer(4, "self_attn.v_proj")), "q6_k");
  assert.equal(stored("q4_k", layer(4, "self_attn.q_proj")), "q4_k");
  assert.equal(stored("q4_k", layer(4, "self_attn.qkv_proj")), "q5_k");
  assert.equal(stored("q4_0", layer(4, "self_attn.v_proj")), "q4_0");
  assert.deepEqual(
    ["lm_head.weight", "model.embed_tokens.weight"].map((name) => stored("q4_k", name)),
    ["q6_k", "q4_k"],
  );
  assert.equal(stored("q4_0", "model.embed_tokens.weight", 512, true), "q6_k");
  assert.deepEqual([64, 40].map((columns) => stored("q4_k", layer(2, "x"), columns)), [
    "q5_0",
    "f16",
  ]);
  assert.equal(stored("q4_0", "lm_head.weight", 64), "q8_0");
  assert.equal(
    storedFormat("q4_k", { name: "model.norm.weight", shape: [512] }, config, info),
    "f32",
  );
});

Deno.test("export: a folder is cut as the base is, in the base's numbers", () =>
  withTempDir(async (dir) => {
    const base = model(`${dir}/base`);
    const shards = { a: new Map(), b: new Map() };
    for (const [name, tensor] of tinyWeights({ ...tinyConfig("llama"), vocab_size: 268 })) {
      (/embed|layers\.1/.test(name) ? shards.b : shards.a).set(name, tensor);
    }
    const weight_map: Record<string, string> = {};
    for (const [letter, tensors] of Object.entries(shards)) {
      const file = `part-${letter}.safetensors`;
      Deno.writeFileSync(`${base}/${file}`, encodeSafetensors(tensors));
      for (const name of tensors.keys()) weight_map[name] = file;
    }
    Deno.removeSync(`${base}/model.safetensors`);
    Deno.writeTextFileSync(`${base}/model.safetensors.index.json`, JSON.stringify({ weight_map }));
    const adapter = new URL("../golden/adapters/sft_fork_f32", import.meta.url).pathname;
    await assert.rejects(exported({ model: base, adapter, out: `${dir}/no` }), { kind: "data" });
    const { dtype, selfTest } = await exported({ model: base, out: `${dir}/out` });
    assert.equal(dtype, "f32");
    assert.ok(selfTest!.difference < 1e-6);
    using folder = SafetensorsFolder.open(`${dir}/out`);
    assert.deepEqual([...folder.files.keys()].sort(), ["part-a.safetensors", "part-b.safetensors"]);
    for (const [name, file] of Object.entries(weight_map)) {
      assert.ok(folder.fileOf(name)?.path.endsWith(file), name);
    }
    const half = await exported({ model: base, out: `${dir}/half`, dtype: "bf16" });
    assert.equal(half.selfTest?.bound, 0.1);
    // As it was made, it goes on as that.
    assert.equal((await exported({ model: `${dir}/half`, out: `${dir}/again` })).dtype, "bf16");
    const gguf = await exported({ model: `${dir}/half`, out: `${dir}/gguf`, gguf: "q8_0" });
    assert.equal(gguf.dtype, "q8_0");
    const from = { model: `${dir}/gguf/model-q8_0.gguf`, out: `${dir}/back` };
    assert.equal((await exported(from)).dtype, "bf16");
  }));

Deno.test("export: a self-test that the memory will not suffice for is refused before anything is written", () =>
  withTempDir(async (dir) => {
    const out = `${dir}/small`;
    await exported({ model: model(`${dir}/base`), gguf: "q8_0", out });
    const small = `${out}/model-q8_0.gguf`;
    const bytes = async (path: string) => {
      await using engine = await PLACE.open();
      using source = openModelSource(path);
      return (await loadModel(engine, source, inferenceUse(128))).memory.totalBytes;
    };
    const memoryBudget = await bytes(small) + 1000;
    assert.ok(await bytes(`${dir}/base`) > memoryBudget);
    const large = { model: small, gguf: "f32", out: `${dir}/large`, memoryBudget } as const;
    let written = 0;
    const files = { ...denoFiles, create: (path: string) => (written++, denoFiles.create(path)) };
    await assert.rejects(exported({ ...large, files }), {
      kind: "device",
      message: /over the --memory-budget of .*; try --no-self-test/,
    });
    assert.equal(written, 0);
    await exported({ ...large, gguf: "q4_0", out: `${dir}/again` });
    assert.equal((await exported({ ...large, files, selfTest: false })).selfTest, null);
  }));

/** A disk that replaces bytes of what is written to files whose path ends so. */
function damaging(end: string, from: Uint8Array, to: Uint8Array): Files {
  const replaced = (bytes: Uint8Array) => {
    const copy = bytes.slice();
    outer: for (let at = 0; at + from.length <= copy.length; at++) {
      for (let i = 0; i < from.length; i++) if (copy[at + i] !== from[i]) continue outer;
      copy.set(to, at);
    }
    return copy;
  };
  return {
    ...denoFiles,
    async create(path) {
      const file = await denoFiles.create(path);
      if (!path.endsWith(end)) return file;
      return { ...wrapped(file), write: (bytes) => file.write(replaced(bytes)) };
    },
  };
}

function wrapped(file: Awaited<ReturnType<Files["create"]>>) {
  return { sync: () => file.sync(), close: () => file.close() };
}

const utf8 = (text: string) => new TextEncoder().encode(text);

Deno.test("export: the self-test finds a damaged template, end token, vocabulary and weights", () =>
  withTempDir(async (dir) => {
    const base = model(`${dir}/base`);
    const norm = new Uint8Array(tinyWeights({ ...tinyConfig("llama"), vocab_size: 268 })
      .get("model.layers.1.input_layernorm.weight")!.data.buffer.slice(0, 64) as ArrayBuffer);
    const [json, config] = ["tokenizer.json", "tokenizer_config.json"];
    const faults: [Partial<MergeOptions>, Files, string, RegExp][] = [
      [
        {},
        damaging(config, utf8("'<|end|>'"), utf8("'<|emd|>'")),
        "data",
        /template renders .*emd/,
      ],
      [{ gguf: "f16" }, damaging(".gguf", utf8("'<|end|>'"), utf8("'<|emd|>'")), "data", /renders/],
      [
        {},
        damaging("generation_config.json", utf8("263"), utf8("262")),
        "data",
        /answers end at the tokens 261, 262, the model's at 261, 263/,
      ],
      [
        { gguf: "q8_0" },
        damaging(
          ".gguf",
          Uint8Array.of(...utf8("eos_token_id"), ...[4, 0, 0, 0], ...[5, 1]),
          Uint8Array.of(...utf8("eos_token_id"), ...[4, 0, 0, 0], ...[4, 1]),
        ),
        "data",
        /answers end at/,
      ],
      [{}, damaging(json, utf8('"th"'), utf8('"tq"')), "data", /./],
      [{ gguf: "f16" }, damaging(".gguf", utf8("gpt-2"), utf8("qwen2")), "data", /token \d+ of/],
      [
        {},
        damaging(".safetensors", norm, norm.map(() => 0x41)),
        "numeric",
        /logits .* 0\.001 that f32/,
      ],
      [{ gguf: "f16" }, damaging(".gguf", norm, norm.map(() => 0x41)), "numeric", /0\.02 that f16/],
      [{ gguf: "q4_0" }, damaging(".gguf", norm, norm.map(() => 0xFF)), "numeric", /NaN of/],
    ];
    for (const [options, files, kind, message] of faults) {
      const out = `${dir}/out`;
      await assert.rejects(exported({ model: base, out, files, ...options }), { kind, message });
      assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name), ["base"]);
    }
    const [options, files] = faults[0]!;
    await exported({ model: base, out: `${dir}/out`, files, ...options, selfTest: false });
  }));
