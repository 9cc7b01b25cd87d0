/** config.json: every spelling and switch, and refusals of what cannot be computed. */
import assert from "node:assert/strict";
import { readHuggingFaceConfig } from "../../../src/model/hf_config.ts";
import { openModelSource } from "../../../src/model/source.ts";
import { assertRefuses } from "../../support/refuses.ts";
import { withTempDir } from "../../support/temp_dir.ts";
import { writeTinyFolder } from "../../support/tiny_model.ts";

const GOLDEN = new URL("../../golden/", import.meta.url).pathname;

Deno.test("both spellings of config.json give the same configuration", () => {
  for (const name of ["tiny_llama", "tiny_llama_tied_rope3"]) {
    const [v5, v4] = ["config.json", "config.v4.json"].map((file) =>
      readHuggingFaceConfig(`${GOLDEN}${name}/${file}`)
    );
    assert.deepEqual(v5!.config, v4!.config);
    using source = openModelSource(`${GOLDEN}${name}`);
    assert.equal(
      source.config.rope_scaling?.rope_type,
      name.includes("rope3") ? "llama3" : undefined,
    );
  }
});

Deno.test("configurations that cannot be computed are refused by field", () =>
  withTempDir((dir) => {
    const cases: [modelType: string, change: Record<string, unknown>, ...fragments: string[]][] = [
      ["llama", { model_type: "mixtral" }, `"mixtral"`, "llama, mistral, qwen2, qwen3"],
      ["llama", { model_type: undefined }, "model_type (missing)"],
      ["llama", { hidden_act: "gelu" }, "hidden_act", "gelu", "silu"],
      ["llama", { attention_bias: true }, "attention_bias true"],
      ["llama", { mlp_bias: true }, "mlp_bias true"],
      ["llama", { hidden_size: "64" }, "hidden_size", `"64"`],
      ["llama", { hidden_size: 0 }, "hidden_size is 0"],
      ["llama", { num_hidden_layers: 4097 }, "num_hidden_layers is 4097", "1 to 4096"],
      ["llama", { vocab_size: 2 ** 24 + 1 }, "vocab_size is 16777217", "1 to 16777216"],
      ["llama", { vocab_size: null }, "vocab_size is missing"],
      ["llama", { num_key_value_heads: 3 }, "4 attention heads", "3 key-value heads"],
      ["llama", { head_dim: 15 }, "head width 15 is odd"],
      ["llama", { head_dim: null, hidden_size: 65 }, "head_dim"],
      ["llama", { rms_norm_eps: -1 }, "rms_norm_eps is -1"],
      ["llama", { rope_theta: 0 }, "rope_theta is 0"],
      ["llama", { rope_scaling: { type: "dynamic", factor: 2 } }, "dynamic", "llama3"],
      ["llama", { rope_scaling: { rope_type: "yarn", factor: 2 } }, "yarn"],
      ["llama", { rope_parameters: { rope_type: "longrope" } }, "longrope"],
      ["llama", { rope_scaling: { rope_type: "linear" } }, "factor is missing"],
      ["llama", { rope_scaling: { rope_type: "llama3", factor: 8 } }, "low_freq_factor is missing"],
      ["llama", { rope_scaling: "linear" }, "rope_scaling", "an object"],
      ["llama", { partial_rotary_factor: 0.5 }, "partial_rotary_factor"],
      ["llama", { quantization_config: { quant_method: "gptq" } }, "gptq"],
      ["mistral", { num_key_value_heads: undefined }, "num_key_value_heads is missing"],
      ["mistral", { sliding_window: -1 }, "sliding_window is -1"],
      ["qwen3", { attention_bias: true }, "attention_bias true"],
      ["granite", { residual_multiplier: 0 }, "residual_multiplier is 0"],
      ["granite", { attention_bias: true }, "attention_bias true"],
      ["olmo2", { attention_bias: true }, "attention_bias true"],
      ["smollm3", { no_rope_layers: [1, 1, 1] }, "no_rope_layers is [1,1,1]", "each of 4 layers"],
      ["smollm3", { no_rope_layers: [1, 1, 1, 2] }, "no_rope_layers"],
      ["smollm3", { layer_types: ["full_attention"] }, "layer_types", "a list of 4 layer types"],
    ];
    for (const [modelType, change, ...fragments] of cases) {
      writeTinyFolder(dir, modelType);
      const path = `${dir}/config.json`;
      const json = JSON.parse(Deno.readTextFileSync(path));
      Deno.writeTextFileSync(path, JSON.stringify({ ...json, ...change }));
      assertRefuses(() => readHuggingFaceConfig(path), "data", path, ...fragments);
    }
    for (const bad of ["", "[]", "{", "null"]) {
      Deno.writeTextFileSync(`${dir}/config.json`, bad);
      assertRefuses(() => openModelSource(dir), "data", `${dir}/config.json`, "JSON");
    }
  }));

Deno.test("sliding windows follow the switches of their architecture", () =>
  withTempDir((dir) => {
    const windowOf = (modelType: string, change: Record<string, unknown>) => {
      writeTinyFolder(dir, modelType);
      const json = JSON.parse(Deno.readTextFileSync(`${dir}/config.json`));
      Deno.writeTextFileSync(`${dir}/config.json`, JSON.stringify({ ...json, ...change }));
      return readHuggingFaceConfig(`${dir}/config.json`).config.sliding_window;
    };
    const window = { use_sliding_window: true, sliding_window: 8 };
    assert.equal(windowOf("mistral", { sliding_window: null }), null);
    assert.equal(windowOf("mistral", { sliding_window: 8 }), 8);
    assert.equal(windowOf("mistral", { sliding_window: undefined }), 4096);
    assert.equal(windowOf("llama", { sliding_window: 8 }), null);
    assert.equal(windowOf("qwen2", { ...window, use_sliding_window: false }), null);
    assert.equal(windowOf("qwen2", { ...window, max_window_layers: 0 }), 8);
    assert.equal(windowOf("qwen2", { ...window, max_window_layers: 2 }), null);
    const all = ["sliding_attention", "sliding_attention"];
    assert.equal(windowOf("qwen3", { ...window, layer_types: all }), 8);
  }));
