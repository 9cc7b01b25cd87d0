/** Phi-3: stacked matrices seen as their parts, in folders and GGUF files, and what is written of such a model. */
import assert from "node:assert/strict";
import { SafetensorsFile } from "../../../src/io/safetensors.ts";
import { openModelSource } from "../../../src/model/source.ts";
import { buildGguf, type GgufField } from "../../support/gguf_builder.ts";
import { assertRefuses } from "../../support/refuses.ts";
import { withTempDir } from "../../support/temp_dir.ts";

const FOLDER = new URL("../../golden/tiny_phi3", import.meta.url).pathname;
const QKV = "model.layers.1.self_attn.qkv_proj.weight";
const GATE_UP = "model.layers.1.mlp.gate_up_proj.weight";

/** A copy of the folder with changes to its config.json. */
function copy(dir: string, changes: Record<string, unknown>): string {
  Deno.copyFileSync(`${FOLDER}/model.safetensors`, `${dir}/model.safetensors`);
  const config = JSON.parse(Deno.readTextFileSync(`${FOLDER}/config.json`));
  Deno.writeTextFileSync(`${dir}/config.json`, JSON.stringify({ ...config, ...changes }));
  return dir;
}

/** The same model as the converter of llama.cpp writes it. */
function phi3Gguf(): Uint8Array {
  using weights = SafetensorsFile.open(`${FOLDER}/model.safetensors`);
  const names: [pattern: RegExp, name: string][] = [
    [/^model\.embed_tokens/, "token_embd"],
    [/^model\.norm/, "output_norm"],
    [/^lm_head/, "output"],
    [/^model\.layers\.(\d)\.input_layernorm/, "blk.$1.attn_norm"],
    [/^model\.layers\.(\d)\.post_attention_layernorm/, "blk.$1.ffn_norm"],
    [/^model\.layers\.(\d)\.self_attn\.qkv_proj/, "blk.$1.attn_qkv"],
    [/^model\.layers\.(\d)\.self_attn\.o_proj/, "blk.$1.attn_output"],
    [/^model\.layers\.(\d)\.mlp\.gate_up_proj/, "blk.$1.ffn_up"],
    [/^model\.layers\.(\d)\.mlp\.down_proj/, "blk.$1.ffn_down"],
  ];
  const tensors = [...weights.tensors].map(([name, { shape, byteLength }]) => {
    const [pattern, replacement] = names.find(([pattern]) => pattern.test(name))!;
    return {
      name: name.replace(pattern, replacement),
      dimensions: [...shape].reverse(),
      type: 0,
      data: weights.readRange(name, 0, byteLength),
    };
  });
  const number = (key: string, value: number): [string, GgufField] => [
    `phi3.${key}`,
    { type: "u32", value },
  ];
  return buildGguf({
    metadata: [
      ["general.architecture", { type: "string", value: "phi3" }],
      number("context_length", 128),
      number("embedding_length", 32),
      number("feed_forward_length", 48),
      number("block_count", 2),
      number("attention.head_count", 4),
      number("attention.head_count_kv", 2),
      number("attention.sliding_window", 8),
      number("rope.dimension_count", 8),
      number("vocab_size", 128),
      ["phi3.attention.layer_norm_rms_epsilon", { type: "f32", value: 1e-5 }],
    ],
    tensors,
  });
}

Deno.test("the parts of stacked matrices are ranges of what is stored", () => {
  using weights = SafetensorsFile.open(`${FOLDER}/model.safetensors`);
  using source = openModelSource(FOLDER);
  const names = [...source.tensors.keys()];
  assert.equal(names.filter((name) => /qkv_proj|gate_up_proj/.test(name)).length, 0);
  const whole = (name: string) => {
    const { shape, byteLength } = source.tensors.get(name)!;
    return { shape, bytes: source.read(name, 0, byteLength) };
  };
  for (
    const [stored, parts] of [
      [QKV, ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]],
      [GATE_UP, ["mlp.gate_proj", "mlp.up_proj"]],
    ] as const
  ) {
    const read = parts.map((part) => whole(`model.layers.1.${part}.weight`));
    const joined = read.flatMap(({ bytes }) => [...bytes]);
    const { byteLength } = weights.entry(stored);
    assert.deepEqual(joined, [...weights.readRange(stored, 0, byteLength)]);
  }
  const key = "model.layers.0.self_attn.k_proj.weight";
  const { shape, bytes } = whole(key);
  assert.deepEqual(shape, [16, 32]);
  assert.deepEqual(source.read(key, 128, 256), bytes.slice(128, 384));
  // What lies behind the part in the file is another matrix.
  assertRefuses(() => source.read(key, 2048, 1), "data", key, "has 2048 bytes");
});

Deno.test("a GGUF file of the same model gives the same tensors", () =>
  withTempDir((dir) => {
    const path = `${dir}/phi3.gguf`;
    Deno.writeFileSync(path, phi3Gguf());
    using source = openModelSource(path);
    using folder = openModelSource(FOLDER);
    assert.equal(source.modelType, "phi3");
    const { rms_norm_eps, ...config } = source.config;
    const { rms_norm_eps: expected, ...rest } = folder.config;
    assert.deepEqual(config, rest);
    assert.ok(Math.abs(rms_norm_eps - expected) < 1e-9);
    assert.deepEqual([...source.tensors], [...folder.tensors]);
    for (const [name, { byteLength }] of source.tensors) {
      assert.deepEqual(source.read(name, 0, byteLength), folder.read(name, 0, byteLength), name);
    }
  }));

Deno.test("what is written of it has every matrix of its own, and a class that has too", () =>
  withTempDir((dir) => {
    using windowed = openModelSource(FOLDER);
    const { model_type, architectures, sliding_window } = windowed.huggingFaceConfig();
    assert.deepEqual([model_type, architectures, sliding_window], [
      "mistral",
      ["MistralForCausalLM"],
      8,
    ]);
    using plain = openModelSource(copy(dir, { sliding_window: null }));
    assert.equal(plain.huggingFaceConfig().model_type, "llama");
    assert.equal(plain.config.sliding_window, null);
  }));

Deno.test("forms of it that differ in more are refused by name", () =>
  withTempDir((dir) => {
    const rope = { rope_theta: 1e4, rope_type: "default" };
    const bad: [changes: Record<string, unknown>, ...fragments: string[]][] = [
      [{ rope_parameters: { ...rope, rope_type: "longrope" } }, "rope_type", "longrope"],
      [{ rope_parameters: { ...rope, partial_rotary_factor: 0.75 } }, "partial_rotary_factor"],
      [{ num_key_value_heads: 4 }, "lacks", "self_attn.q_proj.weight"],
      [{ intermediate_size: 64 }, "lacks", "mlp.gate_proj.weight"],
    ];
    for (const [changes, ...fragments] of bad) {
      copy(dir, changes);
      assertRefuses(() => openModelSource(dir), "data", dir, ...fragments);
    }
  }));
