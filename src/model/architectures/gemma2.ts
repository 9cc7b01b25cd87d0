/** Gemma 2: Gemma with norms on both sides of each half of a block, windows in every other layer, and soft caps. */
import type { LayerAttention, ModelConfig, Rope } from "../../engine/protocol.gen.ts";
import type { GgufFile } from "../../io/gguf.ts";
import type { ConfigFields } from "../config_fields.ts";
import { type Architecture, ggufFields } from "./decoder.ts";
import { layerTypes, windowKeys } from "./layers.ts";
import { gemma, gemmaFromGguf, gemmaFromHuggingFace, refuseOthers } from "./gemma.ts";

const WINDOW = 4096;
/** Every second layer sees all. */
const PERIOD = 2;

/** The soft caps where they are left out; an explicit null in config.json is none. */
const CAPS = { attention: 50, final: 30 };
/** The layers of the model of 27 billion weights; see `scoreScale`. */
const WIDE_LAYERS = 46;

/** What GGUF files call the norms of a block that has four. */
export const FOUR_NORMS = {
  post_attention_norm: "post_attention_layernorm",
  ffn_norm: "pre_feedforward_layernorm",
  post_ffw_norm: "post_feedforward_layernorm",
} as const;

export const gemma2: Architecture = {
  modelType: "gemma2",
  className: "Gemma2ForCausalLM",
  fromHuggingFace(config) {
    const decoder = gemma2FromHuggingFace(config, CAPS, 8192);
    return { ...decoder, layers: layersOf(decoder, slidingLayers(config, decoder, PERIOD)) };
  },
  toHuggingFace: gemma2ToHuggingFace,
  gguf: {
    name: "gemma2",
    interleavesHeads: false,
    addsOneToNorms: true,
    names: FOUR_NORMS,
    // What is left out is as in llama.cpp.
    read(file) {
      const fields = ggufFields(file, "gemma2");
      const plain = gemma2FromGguf(file, "gemma2", WIDE_LAYERS);
      const decoder = { ...plain, sliding_window: plain.sliding_window ?? WINDOW };
      return {
        ...decoder,
        attn_logit_softcapping: fields.positive("attn_logit_softcapping", CAPS.attention),
        final_logit_softcapping: fields.positive("final_logit_softcapping", CAPS.final),
        layers: layersOf(decoder, everyLayerBut(PERIOD, decoder)),
      };
    },
    metadata(config) {
      const { attn_logit_softcapping: attention, final_logit_softcapping: final } = config;
      refuseOthers(config, {
        tie_word_embeddings: true,
        attention_multiplier: scoreScale(config, WIDE_LAYERS),
        sliding_window: config.sliding_window ?? WINDOW,
        attn_logit_softcapping: attention ?? CAPS.attention,
        final_logit_softcapping: final ?? CAPS.final,
        layers: layersOf(config, everyLayerBut(PERIOD, config)),
      });
      return {
        attn_logit_softcapping: { type: "f32", value: attention ?? CAPS.attention },
        final_logit_softcapping: { type: "f32", value: final ?? CAPS.final },
      };
    },
  },
};

/** Reads what Gemma 2 and 3 have in config.json, but for how their layers differ. */
export function gemma2FromHuggingFace(
  config: ConfigFields,
  caps: { attention?: number; final?: number },
  max_position_embeddings: number,
): ModelConfig {
  const cap = (key: string, fallback?: number) =>
    config.isNull(key) || !config.has(key) && fallback === undefined
      ? null
      : config.positive(key, fallback);
  const window = config.isNull("sliding_window") ? null : config.size("sliding_window", WINDOW);
  return {
    ...gemmaFromHuggingFace(config, { max_position_embeddings }),
    norm_placement: "both",
    sliding_window: window,
    attention_multiplier: 1 / Math.sqrt(config.positive("query_pre_attn_scalar", 256)),
    ...capped(
      cap("attn_logit_softcapping", caps.attention),
      cap("final_logit_softcapping", caps.final),
    ),
  };
}

/** Reads what Gemma 2 and 3 have in the metadata, but for how their layers differ. */
export function gemma2FromGguf(file: GgufFile, name: string, wideLayers: number): ModelConfig {
  const decoder = gemmaFromGguf(file, name);
  const attention_multiplier = scoreScale(decoder, wideLayers);
  return { ...decoder, norm_placement: "both", attention_multiplier };
}

/**
 * What scores are multiplied by, which GGUF files do not say: by the width of a head, but for the one model of a family with
 * `wideLayers` layers, as llama.cpp has it.
 */
export function scoreScale(config: ModelConfig, wideLayers: number): number {
  const isWide = config.num_hidden_layers === wideLayers;
  return 1 / Math.sqrt(isWide ? config.hidden_size / config.num_attention_heads : config.head_dim);
}

function capped(attention: number | null, final: number | null): Partial<ModelConfig> {
  return {
    ...(attention === null ? {} : { attn_logit_softcapping: attention }),
    ...(final === null ? {} : { final_logit_softcapping: final }),
  };
}

/** Which layers have a window: as `layer_types` says, otherwise all but every `period`th. */
export function slidingLayers(
  config: ConfigFields,
  { num_hidden_layers }: ModelConfig,
  period: number,
): boolean[] {
  const types = layerTypes(config, num_hidden_layers);
  if (types === undefined) return everyLayerBut(period, { num_hidden_layers });
  if (!types.every((type) => type === "sliding_attention" || type === "full_attention")) {
    throw config.mismatch("layer_types", `"sliding_attention" or "full_attention" for each layer`);
  }
  return types.map((type) => type === "sliding_attention");
}

/** All layers but every `period`th have a window. */
export function everyLayerBut(
  period: number,
  { num_hidden_layers }: Pick<ModelConfig, "num_hidden_layers">,
): boolean[] {
  return Array.from({ length: num_hidden_layers }, (_, layer) => (layer + 1) % period !== 0);
}

/** The layers' settings; those with a window may be rotated otherwise. */
export function layersOf(
  { rope_theta, rope_scaling, sliding_window }: ModelConfig,
  slides: readonly boolean[],
  local: Rope = { rope_theta, rope_scaling },
): LayerAttention[] {
  const whole = { rope: { rope_theta, rope_scaling }, sliding_window: null };
  return slides.map((slides) => slides ? { rope: local, sliding_window } : whole);
}

/** What config.json says of Gemma 2 and 3 in words of their own. */
export function gemma2ToHuggingFace(config: ModelConfig): Record<string, unknown> {
  const scale = config.attention_multiplier ?? 1 / Math.sqrt(config.head_dim);
  return {
    ...gemma.toHuggingFace!(config),
    query_pre_attn_scalar: Math.round(1 / scale ** 2),
    attn_logit_softcapping: config.attn_logit_softcapping ?? null,
    final_logit_softcapping: config.final_logit_softcapping ?? null,
    layer_types: windowKeys(config).layer_types,
  };
}
