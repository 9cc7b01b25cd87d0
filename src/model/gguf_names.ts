/** Tensor names of GGUF files and of Hugging Face models, one to one. */

const GLOBAL: Readonly<Record<string, string>> = {
  token_embd: "model.embed_tokens",
  output_norm: "model.norm",
  output: "lm_head",
};

const IN_LAYER: Readonly<Record<string, string>> = {
  attn_norm: "input_layernorm",
  attn_q: "self_attn.q_proj",
  attn_k: "self_attn.k_proj",
  attn_v: "self_attn.v_proj",
  attn_qkv: "self_attn.qkv_proj",
  attn_q_norm: "self_attn.q_norm",
  attn_k_norm: "self_attn.k_norm",
  attn_output: "self_attn.o_proj",
  ffn_norm: "post_attention_layernorm",
  ffn_gate: "mlp.gate_proj",
  ffn_up: "mlp.up_proj",
  ffn_down: "mlp.down_proj",
};

/**
 * The Hugging Face name of a GGUF tensor; null for one that LLaMA-like models do not have.
 *
 * @param layerNames What parts of layers are called that an architecture's files call otherwise.
 */
export function huggingFaceName(
  ggufName: string,
  layerNames: Readonly<Record<string, string>> = {},
): string | null {
  const match = /^(?:blk\.(\d+)\.)?(\w+)\.(weight|bias)$/.exec(ggufName);
  if (match === null) return null;
  const [, layer, part, kind] = match;
  const names = layer === undefined ? GLOBAL : { ...IN_LAYER, ...layerNames };
  if (!Object.hasOwn(names, part!)) return null;
  const prefix = layer === undefined ? "" : `model.layers.${layer}.`;
  return `${prefix}${names[part!]}.${kind}`;
}
