/** The registry of model architectures: a new one is a new file and one line here. */
import { SpielError } from "../../errors.ts";
import type { ModelConfig } from "../../engine/protocol.gen.ts";
import type { Architecture, GgufArchitecture } from "./decoder.ts";
import { gemma } from "./gemma.ts";
import { gemma2 } from "./gemma2.ts";
import { gemma3, gemma3WithImages } from "./gemma3.ts";
import { granite } from "./granite.ts";
import { llama } from "./llama.ts";
import { mistral } from "./mistral.ts";
import { olmo2 } from "./olmo2.ts";
import { phi3 } from "./phi3.ts";
import { qwen2 } from "./qwen2.ts";
import { qwen3 } from "./qwen3.ts";
import { smollm3 } from "./smollm3.ts";

export type { Architecture, GgufArchitecture } from "./decoder.ts";

/** All supported architectures. */
export const ARCHITECTURES: readonly Architecture[] = [
  llama,
  mistral,
  qwen2,
  qwen3,
  phi3,
  granite,
  olmo2,
  smollm3,
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
    if (gguf.name === name) return { architecture, gguf };
  }
  const supported = new Set(ARCHITECTURES.map(({ gguf }) => gguf.name));
  throw unsupported(where, "general.architecture", name, [...supported]);
}

function unsupported(where: string, key: string, value: unknown, supported: string[]): SpielError {
  const shown = value === undefined ? "(missing)" : JSON.stringify(value);
  return new SpielError(
    "data",
    `${where}: ${key} ${shown} is not supported; supported: ${supported.join(", ")}`,
  );
}

/** What no configuration has under these names, or only those of some families, which write it themselves. */
const OWN_KEYS: ReadonlySet<string> = new Set<keyof ModelConfig>([
  "qk_norm",
  "qk_norm_span",
  "norm_placement",
  "layers",
  "embedding_multiplier",
  "attention_multiplier",
  "residual_multiplier",
  "logits_scaling",
  "norm_unit_offset",
  "attn_logit_softcapping",
  "final_logit_softcapping",
]);

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
  const { attention_bias, sliding_window, ...rest } = config;
  const common = Object.fromEntries(Object.entries(rest).filter(([key]) => !OWN_KEYS.has(key)));
  const architecture = architectureOf(written, "Cannot write config.json");
  // Families whose layers differ say by themselves which have the window.
  const window = sliding_window === null || config.layers !== undefined
    ? { sliding_window }
    : { sliding_window, use_sliding_window: true, max_window_layers: 0 };
  const { bos, eos } = specialTokens;
  return {
    architectures: [architecture.className],
    model_type: written,
    hidden_act: "silu",
    ...common,
    attention_bias,
    ...window,
    ...architecture.toHuggingFace?.(config),
    bos_token_id: bos,
    eos_token_id: eos.length > 1 ? eos : eos[0] ?? null,
  };
}
