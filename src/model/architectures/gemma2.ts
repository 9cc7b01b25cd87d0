/** Gemma 2: Gemma with norms on both sides of each half of a block, windows in every other layer, and soft caps. */
import type { LayerAttention, ModelConfig, Rope } from "../../engine/protocol.gen.ts";
import type { GgufFile } from "../../io/gguf.ts";
import { ConfigFields } from "../config_fields.ts";
import type { Architecture } from "./decoder.ts";
import { gemma, gemmaFromGguf, gemmaFromHuggingFace } from "./gemma.ts";

const WINDOW = 4096;
/** Every second layer sees all. */
const PERIOD = 2;

/** What GGUF files call the norms of a block that has four, by what they are called here. */
export const FOUR_NORMS = {
  post_attention_norm: "post_attention_layernorm",
  ffn_norm: "pre_feedforward_layernorm",
  post_ffw_norm: "post_feedforward_layernorm",
} as const;

export const gemma2: Architecture = {
  modelType: "gemma2",
  className: "Gemma2ForCausalLM",
  fromHuggingFace(config) {
    const decoder = gemma2FromHuggingFace(config, { attention: 50, final: 30 }, 8192);
    return { ...decoder, layers: layersOf(decoder, slidingLayers(config, decoder, PERIOD)) };
  },
  toHuggingFace: gemma2ToHuggingFace,
  gguf: {
    name: "gemma2",
    interleavesHeads: false,
    addsOneToNorms: true,
    layerNames: FOUR_NORMS,
    read(file) {
      // 27B, the one of 46 layers, is the one whose scores are scaled by the stream's share of a head.
      const decoder = gemma2FromGguf(file, "gemma2", 46);
      return { ...decoder, layers: layersOf(decoder, everyLayerBut(PERIOD, decoder)) };
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

/**
 * Reads what Gemma 2 and 3 have in the metadata, but for how their layers differ.
 *
 * @param wideLayers Layers of the model of the family whose scores are scaled by another width than that of a head; the
 * metadata does not say it, and llama.cpp tells it so too.
 */
export function gemma2FromGguf(file: GgufFile, name: string, wideLayers: number): ModelConfig {
  const fields = new ConfigFields(
    `${file.path}: ${name}`,
    (key) => file.metadata.get(`${name}.${key}`),
  );
  const cap = (key: string) => fields.has(key) ? fields.positive(key) : null;
  const decoder = gemmaFromGguf(file, name);
  const isWide = decoder.num_hidden_layers === wideLayers;
  const width = isWide ? decoder.hidden_size / decoder.num_attention_heads : decoder.head_dim;
  return {
    ...decoder,
    norm_placement: "both",
    attention_multiplier: 1 / Math.sqrt(width),
    ...capped(cap("attn_logit_softcapping"), cap("final_logit_softcapping")),
  };
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
  if (!config.has("layer_types")) return everyLayerBut(period, { num_hidden_layers });
  const types = config.value("layer_types");
  const isType = (type: unknown) => type === "sliding_attention" || type === "full_attention";
  if (!Array.isArray(types) || types.length !== num_hidden_layers || !types.every(isType)) {
    throw config.mismatch(
      "layer_types",
      `a list of ${num_hidden_layers} of "sliding_attention" and "full_attention"`,
    );
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
    layer_types: config.layers?.map(({ sliding_window }) =>
      sliding_window === null ? "full_attention" : "sliding_attention"
    ),
  };
}
