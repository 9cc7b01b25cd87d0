/** Models whose layers do not all attend alike, and those with multipliers: read, written, and refused. */
import assert from "node:assert/strict";
import type { ModelConfig } from "../../../src/engine/protocol.gen.ts";
import {
  architectureOf,
  ggufArchitectureOf,
  toHuggingFaceConfig,
} from "../../../src/model/architectures/mod.ts";
import { readHuggingFaceConfig } from "../../../src/model/hf_config.ts";
import { openModelSource } from "../../../src/model/source.ts";
import { buildGguf, type GgufField } from "../../support/gguf_builder.ts";
import { assertRefuses } from "../../support/refuses.ts";
import { withTempDir } from "../../support/temp_dir.ts";
import { tinyConfig, tinyMetadata, writeTinyFolder } from "../../support/tiny_model.ts";

const ROPE = { rope_theta: 10_000, rope_scaling: null };

/** What is read of a tiny folder whose config.json has these changes. */
function read(dir: string, modelType: string, change: Record<string, unknown>): ModelConfig {
  writeTinyFolder(dir, modelType);
  const path = `${dir}/config.json`;
  const json = JSON.parse(Deno.readTextFileSync(path));
  Deno.writeTextFileSync(path, JSON.stringify({ ...json, ...change }));
  return readHuggingFaceConfig(path).config;
}

const rotated = ({ layers }: ModelConfig) => layers?.map(({ rope }) => rope !== null);
const windows = ({ layers }: ModelConfig) => layers?.map((layer) => layer.sliding_window);

Deno.test("SmolLM3: rotation is left out where the list says so, or else in every fourth layer", () =>
  withTempDir((dir) => {
    const of = (change: Record<string, unknown>) => read(dir, "smollm3", change);
    assert.deepEqual(of({}).layers?.[0], { rope: ROPE, sliding_window: null });
    assert.deepEqual(rotated(of({ no_rope_layers: [0, 1, 1, 0, 1] })), [false, true, true, false]);
    assert.deepEqual(rotated(of({ no_rope_layers: null })), [true, true, true, false]);
    const interval = { no_rope_layers: null, no_rope_layer_interval: 2 };
    assert.deepEqual(rotated(of(interval)), [true, false, true, false]);
    const all = of({ no_rope_layers: [1, 1, 1, 1] });
    assert.deepEqual([all.layers, all.rope_theta], [undefined, 10_000]);
    const none = of({ no_rope_layers: [0, 0, 0, 0] });
    assert.deepEqual(rotated(none), [false, false, false, false]);
    assert.equal(of({ rope_parameters: undefined, rope_theta: undefined }).rope_theta, 2_000_000);
    const window = { use_sliding_window: true, sliding_window: 8 };
    assert.deepEqual(windows(of({ ...window, layer_types: null })), [null, null, null, 8]);
    const types = ["sliding_attention", "full_attention", "full_attention", "full_attention"];
    assert.deepEqual(windows(of({ ...window, layer_types: types })), [8, null, null, null]);
    const unused = { ...window, use_sliding_window: false, layer_types: types };
    assert.deepEqual(windows(of(unused)), [null, null, null, null]);
  }));

Deno.test("Qwen: a window in some layers only", () =>
  withTempDir((dir) => {
    const change = { use_sliding_window: true, sliding_window: 8, max_window_layers: 1 };
    const config = read(dir, "qwen2", change);
    assert.equal(config.sliding_window, null);
    assert.deepEqual(config.layers, [
      { rope: ROPE, sliding_window: null },
      { rope: ROPE, sliding_window: 8 },
    ]);
    const layer_types = ["sliding_attention", "full_attention"];
    const windowed = { ...change, max_window_layers: undefined, layer_types };
    assert.deepEqual(windows(read(dir, "qwen3", windowed)), [8, null]);
  }));

Deno.test("layers of their own are written as they were read, and refused where GGUF has no words", () =>
  withTempDir((dir) => {
    const ofSmollm3 = (rotation: boolean[], window: number | null): ModelConfig => ({
      ...tinyConfig("smollm3"),
      layers: rotation.map((rotated) => ({ rope: rotated ? ROPE : null, sliding_window: window })),
    });
    const some = { layers: [null, 8].map((sliding_window) => ({ rope: ROPE, sliding_window })) };
    const cases: [modelType: string, config: ModelConfig][] = [
      ["smollm3", ofSmollm3([true, false, true, true], null)],
      ["smollm3", ofSmollm3([true, true, true, false], 5)],
      ["qwen2", { ...tinyConfig("qwen2"), ...some }],
      ["qwen3", { ...tinyConfig("qwen3"), ...some }],
    ];
    for (const [modelType, config] of cases) {
      const json = toHuggingFaceConfig(modelType, config, { bos: 1, eos: [2] });
      Deno.writeTextFileSync(`${dir}/config.json`, JSON.stringify(json));
      assert.deepEqual(readHuggingFaceConfig(`${dir}/config.json`).config, config);
      const { gguf } = architectureOf(modelType, "");
      assertRefuses(() => gguf.metadata?.(config), "data", "A GGUF file cannot hold");
    }
  }));

Deno.test("Granite: multipliers have other defaults than none, and names of their own in GGUF", () =>
  withTempDir((dir) => {
    const absent = {
      embedding_multiplier: undefined,
      attention_multiplier: undefined,
      residual_multiplier: undefined,
      logits_scaling: undefined,
    };
    const bare = read(dir, "granite", absent);
    assert.equal(bare.attention_multiplier, 1);
    assert.equal("embedding_multiplier" in bare, false);
    const { gguf } = ggufArchitectureOf("granite", "");
    const f32 = (value: number): GgufField => ({ type: "f32", value });
    assert.deepEqual(gguf.metadata?.(tinyConfig("granite")), {
      embedding_scale: f32(12),
      "attention.scale": f32(0.125),
      residual_scale: f32(0.25),
      logit_scale: f32(8),
    });
    assert.deepEqual(gguf.metadata?.(tinyConfig("llama")), {});
  }));

Deno.test("a GGUF file of OLMo 3 is not taken for one of OLMo 2", () =>
  withTempDir((dir) => {
    const path = `${dir}/olmo3.gguf`;
    const window: [string, GgufField] = [
      "olmo2.attention.sliding_window",
      { type: "u32", value: 16 },
    ];
    const metadata = [...tinyMetadata("olmo2", tinyConfig("olmo2")), window];
    Deno.writeFileSync(path, buildGguf({ metadata }));
    assertRefuses(() => openModelSource(path), "data", path, "attention.sliding_window 16");
  }));
