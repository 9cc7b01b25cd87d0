/** Granite 3 (dense): LLaMA with multipliers of embeddings, scores, branches and logits. */
import type { ModelConfig } from "../../engine/protocol.gen.ts";
import type { GgufField } from "../../io/gguf_writer.ts";
import type { ConfigFields } from "../config_fields.ts";
import {
  type Architecture,
  decoderFromGguf,
  decoderFromHuggingFace,
  ggufFields,
} from "./decoder.ts";

const NAME = "granite";

/** The multipliers by their keys in config.json, and those in GGUF. */
const KEYS = {
  embedding_multiplier: "embedding_scale",
  attention_multiplier: "attention.scale",
  residual_multiplier: "residual_scale",
  logits_scaling: "logit_scale",
} as const;

type Multipliers = Partial<Pick<ModelConfig, keyof typeof KEYS>>;

/** The multipliers that are given; `keyOf` spells them. */
function multipliersFrom(
  fields: ConfigFields,
  keyOf: (key: keyof typeof KEYS) => string,
): Multipliers {
  const keys = (Object.keys(KEYS) as (keyof typeof KEYS)[]).filter((key) => fields.has(keyOf(key)));
  return Object.fromEntries(keys.map((key) => [key, fields.positive(keyOf(key))]));
}

export const granite: Architecture = {
  modelType: NAME,
  className: "GraniteForCausalLM",
  fromHuggingFace(config) {
    // True here also adds a bias to o_proj, which the engine does not have.
    config.only("attention_bias", false);
    const decoder = decoderFromHuggingFace(config, {
      max_position_embeddings: 2048,
      rms_norm_eps: 1e-6,
    });
    // An absent one is 1 here too, where other families divide by the root of the head's width.
    return { ...decoder, attention_multiplier: 1, ...multipliersFrom(config, (key) => key) };
  },
  toHuggingFace: (config) => ({
    embedding_multiplier: config.embedding_multiplier ?? 1,
    attention_multiplier: config.attention_multiplier ?? 1 / Math.sqrt(config.head_dim),
    residual_multiplier: config.residual_multiplier ?? 1,
    logits_scaling: config.logits_scaling ?? 1,
  }),
  gguf: {
    name: NAME,
    interleavesHeads: true,
    read: (file) => ({
      ...decoderFromGguf(file, NAME),
      ...multipliersFrom(ggufFields(file, NAME), (key) => KEYS[key]),
    }),
    metadata: (config) => {
      const given = Object.entries(KEYS).flatMap(([key, name]) => {
        const value = config[key as keyof typeof KEYS];
        return value === undefined ? [] : [[name, { type: "f32", value }] as [string, GgufField]];
      });
      return Object.fromEntries(given);
    },
  },
};
