/** The registry of model architectures: a new one is a new file and one line here. */
import { SpielError } from "../../errors.ts";
import type { ModelConfig } from "../../engine/protocol.gen.ts";
import type { Architecture, GgufArchitecture } from "./decoder.ts";
import { gemma } from "./gemma.ts";
import { gemma2 } from "./gemma2.ts";
import { gemma3, gemma3WithImages } from "./gemma3.ts";
import { llama } from "./llama.ts";
import { mistral } from "./mistral.ts";
import { phi3 } from "./phi3.ts";
import { qwen2 } from "./qwen2.ts";
import { qwen3 } from "./qwen3.ts";

export type { Architecture, GgufArchitecture } from "./decoder.ts";

/** All supported architectures. */
export const ARCHITECTURES: readonly Architecture[] = [
  llama,
  mistral,
  qwen2,
  qwen3,
  phi3,
  gemma,
  gemma2,
  gemma3,
  gemma3WithImages,
];

/**
 * The architecture of a `model_type`.
 *
 * @throws {SpielError} kind "data" with the supported ones when there is none.
 */
export function architectureOf(modelType: unknown, where: string): Architecture {
  const found = ARCHITECTURES.find((architecture) => architecture.modelType === modelType);
  if (found !== undefined) return found;
  const supported = ARCHITECTURES.map((architecture) => architecture.modelType);
  throw unsupported(where, "model_type", modelType, supported);
}

/** The architecture of a GGUF file's `general.architecture`, with its GGUF side. */
export function ggufArchitectureOf(
  name: unknown,
  where: string,
): { architecture: Architecture; gguf: GgufArchitecture } {
  for (const architecture of ARCHITECTURES) {
    const { gguf } = architecture;
    if (gguf !== null && gguf.name === name) return { architecture, gguf };
  }
  const supported = ARCHITECTURES.flatMap(({ gguf }) => gguf === null ? [] : [gguf.name]);
  throw unsupported(where, "general.architecture", name, supported);
}

function unsupported(where: string, key: string, value: unknown, supported: string[]): SpielError {
  const shown = value === undefined ? "(missing)" : JSON.stringify(value);
  return new SpielError(
    "data",
    `${where}: ${key} ${shown} is not supported; supported: ${supported.join(", ")}`,
  );
}

/**
 * A config.json for a model of this configuration, in the spelling that transformers 4 and 5 both read.
 *
 * @param specialTokens Ids for `bos_token_id` and `eos_token_id`.
 */
export function toHuggingFaceConfig(
  modelType: string,
  config: ModelConfig,
  specialTokens: { bos: number | null; eos: readonly number[] },
): Record<string, unknown> {
  const family = architectureOf(modelType, "Cannot write config.json").writtenAs ?? modelType;
  // The llama class of transformers has no sliding window; the mistral class is llama with one.
  const written = family === "llama" && config.sliding_window !== null ? "mistral" : family;
  const { className, toHuggingFace } = architectureOf(written, "Cannot write config.json");
  const { sliding_window, hidden_act = "silu" } = config;
  const common = Object.fromEntries(COMMON_KEYS.map((key) => [key, config[key]]));
  const isEveryWindow = sliding_window !== null && config.layers === undefined;
  const window = isEveryWindow ? { use_sliding_window: true, max_window_layers: 0 } : {};
  const { bos, eos } = specialTokens;
  return {
    architectures: [className],
    model_type: written,
    hidden_act,
    ...common,
    sliding_window,
    ...window,
    ...toHuggingFace?.(config),
    bos_token_id: bos,
    eos_token_id: eos.length > 1 ? eos : eos[0] ?? null,
  };
}

/** What config.json calls as the engine does, whatever the architecture. */
const COMMON_KEYS = [
  "hidden_size",
  "intermediate_size",
  "num_hidden_layers",
  "num_attention_heads",
  "num_key_value_heads",
  "head_dim",
  "vocab_size",
  "max_position_embeddings",
  "rms_norm_eps",
  "rope_theta",
  "rope_scaling",
  "tie_word_embeddings",
  "attention_bias",
] as const;
