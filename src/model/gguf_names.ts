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

/** The Hugging Face name of a GGUF tensor; null for one that LLaMA-like models do not have. */
export function huggingFaceName(ggufName: string): string | null {
  const match = /^(?:blk\.(\d+)\.)?(\w+)\.(weight|bias)$/.exec(ggufName);
  if (match === null) return null;
  const [, layer, part, kind] = match;
  const names = layer === undefined ? GLOBAL : IN_LAYER;
  if (!Object.hasOwn(names, part!)) return null;
  const prefix = layer === undefined ? "" : `model.layers.${layer}.`;
  return `${prefix}${names[part!]}.${kind}`;
}

const inverse = (names: Readonly<Record<string, string>>) =>
  new Map(Object.entries(names).map(([gguf, huggingFace]) => [huggingFace, gguf]));
const GLOBAL_INVERSE = inverse(GLOBAL);
const IN_LAYER_INVERSE = inverse(IN_LAYER);

/** The GGUF name of a Hugging Face tensor; null for one that LLaMA-like models do not have. */
export function ggufName(name: string): string | null {
  const [, layer, part = "", kind] =
    /^(?:model\.layers\.(\d+)\.)?(.+)\.(weight|bias)$/.exec(name) ?? [];
  const found = (layer === undefined ? GLOBAL_INVERSE : IN_LAYER_INVERSE).get(part);
  if (found === undefined) return null;
  return `${layer === undefined ? "" : `blk.${layer}.`}${found}.${kind}`;
}
