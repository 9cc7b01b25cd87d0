/** What readers of an exported GGUF file do not do as the trained model does. */

import type { ModelConfig } from "../engine/protocol.gen.ts";

/**
 * A warning where the window of attention is lost: llama.cpp reads the key for families whose layers differ, such as
 * Gemma's, and passes over it where all layers have one window. null where it loses nothing.
 *
 * Source: `load_hparams` of llama, qwen2, qwen3 and phi3 in llama.cpp.
 */
export function lostWindowWarning(
  { layers, sliding_window: window, max_position_embeddings: longest }: ModelConfig,
): string | null {
  if (layers !== undefined || window === null || window >= longest) return null;
  return `llama.cpp and Ollama read no sliding window of this architecture: texts of more than ${window} tokens ` +
    "will be answered otherwise than by the trained model";
}
