/** Gemma 3 (text): Gemma 2 with norms of q and k for its soft caps, and local layers that are rotated by a base of their own. */
import type { ModelConfig, Rope } from "../../engine/protocol.gen.ts";
import type { ConfigFields } from "../config_fields.ts";
import { refuseOthers } from "./gemma.ts";
import { ropeOfLayersFromHuggingFace } from "../rope.ts";
import { type Architecture, ggufFields } from "./decoder.ts";
import {
  everyLayerBut,
  FOUR_NORMS,
  gemma2FromGguf,
  gemma2FromHuggingFace,
  gemma2ToHuggingFace,
  layersOf,
  scoreScale,
  slidingLayers,
} from "./gemma2.ts";

const NAME = "gemma3";
/** Every sixth layer sees all. */
const PERIOD = 6;
/** Bases of the rotary frequencies where they are left out. */
const THETA = 1_000_000;
const LOCAL_THETA = 10_000;
/** The base of layers with a window, in GGUF. */
const LOCAL_THETA_KEY = "rope.freq_base_swa";
/** Which layers have the window, in GGUF. */
const PATTERN_KEY = "attention.sliding_window_pattern";
const CAP_KEY = "final_logit_softcapping";
/** The layers of the model of 27 billion weights; see `scoreScale`. */
const WIDE_LAYERS = 62;

export const gemma3: Architecture = {
  modelType: "gemma3_text",
  className: "Gemma3ForCausalLM",
  fromHuggingFace(config) {
    const decoder = {
      ...gemma2FromHuggingFace(config, {}, 131_072),
      ...ropeOfLayersFromHuggingFace(config, "full_attention", "rope_theta", THETA),
      qk_norm: true,
    };
    const local = ropeOfLayersFromHuggingFace(
      config,
      "sliding_attention",
      "rope_local_base_freq",
      LOCAL_THETA,
    );
    const slides = slidingLayers(config, decoder, config.size("sliding_window_pattern", PERIOD));
    return { ...decoder, layers: layersOf(decoder, slides, local) };
  },
  toHuggingFace(config) {
    const { rope_theta, rope_scaling } = config;
    return {
      ...gemma2ToHuggingFace(config),
      rope_theta,
      rope_scaling,
      rope_local_base_freq: localRope(config).rope_theta,
    };
  },
  gguf: {
    name: NAME,
    interleavesHeads: false,
    addsOneToNorms: true,
    names: FOUR_NORMS,
    read(file) {
      const fields = ggufFields(file, NAME);
      const decoder = { ...gemma2FromGguf(file, NAME, WIDE_LAYERS), qk_norm: true };
      const theta = fields.positive(LOCAL_THETA_KEY, LOCAL_THETA);
      const local = { rope_theta: theta, rope_scaling: null };
      return {
        ...decoder,
        ...(fields.has(CAP_KEY) ? { [CAP_KEY]: fields.positive(CAP_KEY) } : {}),
        layers: layersOf(decoder, slidingLayersOf(fields, decoder), local),
      };
    },
    metadata(config) {
      const local = localRope(config);
      refuseOthers(config, {
        attention_multiplier: scoreScale(config, WIDE_LAYERS),
        attn_logit_softcapping: undefined,
        layers: layersOf(config, everyLayerBut(PERIOD, config), { ...local, rope_scaling: null }),
      });
      const cap = config[CAP_KEY];
      return {
        [LOCAL_THETA_KEY]: { type: "f32", value: local.rope_theta },
        ...(cap === undefined ? {} : { [CAP_KEY]: { type: "f32", value: cap } }),
      };
    },
  },
};

/** Which layers of a GGUF file have its window: by their period, or each by itself; none where it has no window. */
function slidingLayersOf(
  fields: ConfigFields,
  { num_hidden_layers, sliding_window }: ModelConfig,
): boolean[] {
  const isSliding = (slides: boolean) => slides && sliding_window !== null;
  const pattern = fields.value(PATTERN_KEY);
  if (!Array.isArray(pattern)) {
    return everyLayerBut(fields.size(PATTERN_KEY, PERIOD), { num_hidden_layers }).map(isSliding);
  }
  if (pattern.length !== num_hidden_layers || pattern.some((at) => typeof at !== "boolean")) {
    throw fields.mismatch(
      PATTERN_KEY,
      `a period, or true or false for ${num_hidden_layers} layers`,
    );
  }
  return pattern.map(isSliding);
}

/** How layers with a window are rotated. */
function localRope({ layers }: ModelConfig): Rope {
  const windowed = layers?.find(({ sliding_window }) => sliding_window !== null);
  return windowed?.rope ?? { rope_theta: LOCAL_THETA, rope_scaling: null };
}

/** What the parts that see are called, in files of transformers 4 and 5. */
const NOT_TEXT = /^(model\.)?(vision_tower|multi_modal_projector)\./;

/** Gemma 3 with images, of which only the text's part is used, and saved. */
export const gemma3WithImages: Architecture = {
  modelType: "gemma3",
  className: "Gemma3ForConditionalGeneration",
  writtenAs: gemma3.modelType,
  fromHuggingFace(config) {
    const text = config.object("text_config");
    if (text === null) throw config.mismatch("text_config", "an object");
    // Published files leave out what transformers takes for these.
    const defaults = { num_attention_heads: 8, num_key_value_heads: 4, vocab_size: 262_208 };
    return gemma3.fromHuggingFace(text.withDefaults(defaults));
  },
  tensorName: (stored) =>
    NOT_TEXT.test(stored)
      ? null
      : stored.replace(/^language_model\./, "").replace(/^model\.language_model\./, "model."),
  // GGUF files hold the text's part alone.
  gguf: gemma3.gguf,
};
