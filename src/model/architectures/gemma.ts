/** Gemma 1, and what all Gemma models share: scaled embeddings, GeGLU, and norms whose weights are offsets from one. */
import type { ModelConfig } from "../../engine/protocol.gen.ts";
import { SpielError } from "../../errors.ts";
import type { GgufFile } from "../../io/gguf.ts";
import type { ConfigFields } from "../config_fields.ts";
import {
  type Architecture,
  type DecoderDefaults,
  decoderFromGguf,
  decoderFromHuggingFace,
} from "./decoder.ts";

const ACTIVATION = "gelu_pytorch_tanh";
/** What all of them have where config.json leaves it out, as transformers has it. */
const DEFAULTS = { rms_norm_eps: 1e-6, head_dim: 256, tie_word_embeddings: true };

export const gemma: Architecture = {
  modelType: "gemma",
  className: "GemmaForCausalLM",
  fromHuggingFace: (config) => gemmaFromHuggingFace(config, { max_position_embeddings: 8192 }),
  toHuggingFace: () => ({ hidden_activation: ACTIVATION }),
  gguf: {
    name: "gemma",
    interleavesHeads: false,
    addsOneToNorms: true,
    read: (file) => gemmaFromGguf(file, "gemma"),
    metadata(config) {
      refuseOthers(config, { tie_word_embeddings: true });
      return {};
    },
  },
};

/** Reads what all Gemma models have in config.json. */
export function gemmaFromHuggingFace(
  config: ConfigFields,
  defaults: Pick<DecoderDefaults, "max_position_embeddings">,
): ModelConfig {
  // Gemma 1 was published with "gelu" under this key and means the approximation.
  if (config.value("hidden_act") !== "gelu") config.only("hidden_act", ACTIVATION);
  config.only("hidden_activation", ACTIVATION);
  config.only("attention_bias", false);
  config.only("use_bidirectional_attention", false);
  config.size("num_key_value_heads");
  const decoder = decoderFromHuggingFace(config, {
    ...DEFAULTS,
    ...defaults,
    hidden_act: ACTIVATION,
  });
  return { ...decoder, ...shared(decoder) };
}

/** Reads what all Gemma models have in the metadata of architecture `name`. */
export function gemmaFromGguf(file: GgufFile, name: string): ModelConfig {
  const decoder = decoderFromGguf(file, name);
  return { ...decoder, ...shared(decoder) };
}

function shared({ hidden_size }: ModelConfig): Partial<ModelConfig> {
  return {
    hidden_act: ACTIVATION,
    norm_unit_offset: true,
    // Not rounded, as in llama.cpp and in transformers in f32; in bf16 transformers rounds it to that first.
    embedding_multiplier: Math.sqrt(hidden_size),
  };
}

/**
 * Refuses a configuration that is other than a file of it would be read as.
 *
 * @throws {SpielError} kind "data".
 */
export function refuseOthers(
  config: ModelConfig,
  held: { [Key in keyof ModelConfig]?: ModelConfig[Key] | undefined },
): void {
  for (const [key, value] of Object.entries(held)) {
    const [given, expected] = [config[key as keyof ModelConfig], value].map((it) =>
      JSON.stringify(it ?? null)
    );
    if (given === expected) continue;
    throw new SpielError(
      "data",
      `A GGUF file cannot hold this model: its ${key} is ${given}; expected ${expected}`,
    );
  }
}
