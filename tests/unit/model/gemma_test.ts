/** Gemma 1 to 3: how layers differ by what config.json and GGUF metadata say, and refusals of what is not computed so. */
import assert from "node:assert/strict";
import type { ModelConfig } from "../../../src/engine/protocol.gen.ts";
import { GgufFile } from "../../../src/io/gguf.ts";
import { gemma3 } from "../../../src/model/architectures/gemma3.ts";
import { architectureOf } from "../../../src/model/architectures/mod.ts";
import { readHuggingFaceConfig } from "../../../src/model/hf_config.ts";
import { openModelSource } from "../../../src/model/source.ts";
import { buildGguf, type GgufField } from "../../support/gguf_builder.ts";
import { assertRefuses } from "../../support/refuses.ts";
import { withTempDir } from "../../support/temp_dir.ts";
import { tinyConfig, tinyGguf, tinyMetadata, tinyWeights } from "../../support/tiny_model.ts";

const GOLDEN = new URL("../../golden/", import.meta.url).pathname;

/** The configuration of a golden folder with changes to its config.json. */
function changed(dir: string, folder: string, changes: Record<string, unknown>) {
  const json = JSON.parse(Deno.readTextFileSync(`${GOLDEN}${folder}/config.json`));
  Deno.writeTextFileSync(`${dir}/config.json`, JSON.stringify({ ...json, ...changes }));
  return readHuggingFaceConfig(`${dir}/config.json`).config;
}

Deno.test("both spellings of config.json give the same configuration", () => {
  for (const folder of ["tiny_gemma", "tiny_gemma2", "tiny_gemma3"]) {
    const [v5, v4] = ["config.json", "config.v4.json"].map((file) =>
      readHuggingFaceConfig(`${GOLDEN}${folder}/${file}`).config
    );
    assert.deepEqual(v5, v4);
  }
});

Deno.test("layers slide as layer_types says, otherwise by the family's pattern", () =>
  withTempDir((dir) => {
    const windows = (folder: string, changes: Record<string, unknown>) =>
      changed(dir, folder, changes).layers?.map(({ sliding_window }) => sliding_window);
    assert.deepEqual(windows("tiny_gemma2", {}), [6, null]);
    assert.deepEqual(windows("tiny_gemma2", { layer_types: null, num_hidden_layers: 3 }), [
      6,
      null,
      6,
    ]);
    const reverse = { layer_types: ["full_attention", "sliding_attention"] };
    assert.deepEqual(windows("tiny_gemma2", reverse), [null, 6]);
    assert.deepEqual(windows("tiny_gemma2", { sliding_window: null }), [null, null]);
    assert.deepEqual(windows("tiny_gemma3", {}), [6, 6, null]);
    const plain = { layer_types: null, sliding_window_pattern: null, num_hidden_layers: 7 };
    assert.deepEqual(windows("tiny_gemma3", plain), [6, 6, 6, 6, 6, null, 6]);
    assert.equal(windows("tiny_gemma", {}), undefined);
  }));

Deno.test("a GGUF file of Gemma 3 may say which layers slide, and has one base without a window", () =>
  withTempDir((dir) => {
    const config = { ...tinyConfig("gemma3_text"), num_hidden_layers: 4 };
    const layers = (window: number | null, ...fields: [string, GgufField][]) => {
      const metadata = tinyMetadata("gemma3", { ...config, sliding_window: window });
      Deno.writeFileSync(`${dir}/g.gguf`, buildGguf({ metadata: [...metadata, ...fields] }));
      using file = GgufFile.open(`${dir}/g.gguf`);
      return gemma3.gguf!.read(file).layers!;
    };
    const windows = (...fields: [string, GgufField][]) =>
      layers(6, ...fields).map(({ sliding_window }) => sliding_window);
    const key = "gemma3.attention.sliding_window_pattern";
    assert.deepEqual(windows(), [6, 6, 6, 6]);
    assert.deepEqual(windows([key, { type: "u32", value: 2 }]), [6, null, 6, null]);
    const each = [false, true, true, false];
    assert.deepEqual(windows([key, { type: "bools", value: each }]), [null, 6, 6, null]);
    assertRefuses(
      () => windows([key, { type: "bools", value: [true] }]),
      "data",
      "sliding_window_pattern",
      "4 layers",
    );
    const { rope_theta } = config;
    assert.deepEqual(layers(null).map(({ rope }) => rope?.rope_theta), Array(4).fill(rope_theta));
  }));

Deno.test("layers of Gemma 3 are rotated by two bases, of which one is scaled", () =>
  withTempDir((dir) => {
    const { layers, ...config } = changed(dir, "tiny_gemma3", {});
    const local = { rope_theta: 10_000, rope_scaling: null };
    const scaled = { rope_theta: 100_000, rope_scaling: { rope_type: "linear", factor: 4 } };
    assert.deepEqual(layers?.map(({ rope }) => rope), [local, local, scaled]);
    assert.deepEqual(config.attention_multiplier, 1 / 3);
    const left = changed(dir, "tiny_gemma3", { rope_parameters: null });
    assert.deepEqual(left.layers?.map(({ rope }) => rope?.rope_theta), [1e4, 1e4, 1e6]);
  }));

Deno.test("soft caps that are left out are the family's, and an explicit null is none", () =>
  withTempDir((dir) => {
    const caps = (folder: string, value: unknown) => {
      const both = { attn_logit_softcapping: value, final_logit_softcapping: value };
      const config = changed(dir, folder, both);
      return [config.attn_logit_softcapping, config.final_logit_softcapping];
    };
    assert.deepEqual(caps("tiny_gemma2", undefined), [50, 30]);
    assert.deepEqual(caps("tiny_gemma2", null), [undefined, undefined]);
    assert.deepEqual(caps("tiny_gemma2", 7), [7, 7]);
    assert.deepEqual(caps("tiny_gemma3", undefined), [undefined, undefined]);
    assert.deepEqual(caps("tiny_gemma3", 7), [7, 7]);
  }));

Deno.test("the activation that Gemma 1 was published with means the approximation", () =>
  withTempDir((dir) => {
    const config = changed(dir, "tiny_gemma", { hidden_act: "gelu" });
    assert.equal(config.hidden_act, "gelu_pytorch_tanh");
  }));

Deno.test("Gemma configurations that cannot be computed are refused by field", () =>
  withTempDir((dir) => {
    const cases: [folder: string, changes: Record<string, unknown>, ...fragments: string[]][] = [
      ["tiny_gemma", { hidden_act: "silu" }, "hidden_act", "silu", "gelu_pytorch_tanh"],
      ["tiny_gemma2", { hidden_activation: "gelu" }, "hidden_activation", "gelu_pytorch_tanh"],
      ["tiny_gemma2", { use_bidirectional_attention: true }, "use_bidirectional_attention"],
      ["tiny_gemma2", { query_pre_attn_scalar: 0 }, "query_pre_attn_scalar is 0"],
      ["tiny_gemma2", { attn_logit_softcapping: -1 }, "attn_logit_softcapping is -1"],
      ["tiny_gemma2", { layer_types: ["full_attention"] }, "layer_types", "a list of 2"],
      ["tiny_gemma3", { layer_types: ["a", "b", "c"] }, "layer_types", '"full_attention"'],
      ["tiny_gemma3", { rope_parameters: { full_attention: 1 } }, "full_attention", "an object"],
      ["tiny_gemma3", { model_type: "gemma4" }, '"gemma4"', "gemma3_text"],
    ];
    for (const [folder, changes, ...fragments] of cases) {
      assertRefuses(
        () => changed(dir, folder, changes),
        "data",
        `${dir}/config.json`,
        ...fragments,
      );
    }
  }));

Deno.test("the norms of a GGUF file are read without the one that is added, at any range", () =>
  withTempDir((dir) => {
    const config = tinyConfig("gemma2");
    const weights = tinyWeights(config);
    const path = `${dir}/a.gguf`;
    Deno.writeFileSync(path, tinyGguf("gemma2", config, weights));
    using source = openModelSource(path);
    const name = "model.layers.1.post_feedforward_layernorm.weight";
    const expected = new Uint8Array(weights.get(name)!.data.buffer);
    for (const [from, length] of [[0, 256], [8, 4], [3, 6], [255, 1], [4, 0]] as const) {
      assert.deepEqual(source.read(name, from, length), expected.slice(from, from + length));
    }
  }));

Deno.test("GGUF files of the largest models scale scores by another width than that of a head", () =>
  withTempDir((dir) => {
    for (const [modelType, num_hidden_layers] of [["gemma2", 46], ["gemma3_text", 62]] as const) {
      const [first, last] = [
        tinyConfig(modelType).layers!.at(0)!,
        tinyConfig(modelType).layers!.at(-1)!,
      ];
      const period = modelType === "gemma2" ? 2 : 6;
      const config = {
        ...tinyConfig(modelType),
        num_hidden_layers,
        attention_multiplier: 1 / Math.sqrt(64 / 4),
        layers: Array.from(
          { length: num_hidden_layers },
          (_, layer) => (layer + 1) % period === 0 ? last : first,
        ),
      };
      Deno.writeFileSync(`${dir}/a.gguf`, tinyGguf(modelType, config, tinyWeights(config)));
      using source = openModelSource(`${dir}/a.gguf`);
      assert.deepEqual(source.config, config);
    }
  }));

Deno.test("what a GGUF file cannot say of a model is refused, and not left out", () => {
  const written = (modelType: string, changes: Partial<ModelConfig>) => () =>
    architectureOf(modelType, "").gguf.metadata!({ ...tinyConfig(modelType), ...changes });
  const layers = tinyConfig("gemma2").layers!.toReversed();
  const cases: [modelType: string, changes: Partial<ModelConfig>, ...fragments: string[]][] = [
    ["gemma", { tie_word_embeddings: false }, "tie_word_embeddings is false; expected true"],
    ["gemma2", { attention_multiplier: 0.5 }, "attention_multiplier is 0.5"],
    ["gemma2", { layers }, "layers"],
    ["gemma3_text", { attn_logit_softcapping: 50 }, "attn_logit_softcapping is 50"],
    ["gemma3_text", { layers: Array(6).fill(layers[0]) }, "layers"],
  ];
  for (const [modelType, changes, ...fragments] of cases) {
    assertRefuses(written(modelType, changes), "data", "GGUF", ...fragments);
  }
  assert.deepEqual(written("gemma3_text", { final_logit_softcapping: 7 })(), {
    "rope.freq_base_swa": { type: "f32", value: 20_000 },
    final_logit_softcapping: { type: "f32", value: 7 },
  });
});
