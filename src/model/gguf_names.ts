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

/** Names in a layer, of which an architecture has these of its own. */
export type OwnNames = Readonly<Record<string, string>>;

function namesInLayer(own: OwnNames): [gguf: string, huggingFace: string][] {
  const taken = new Set(Object.values(own));
  const common = Object.entries(IN_LAYER).filter(([gguf, huggingFace]) =>
    !Object.hasOwn(own, gguf) && !taken.has(huggingFace)
  );
  return [...common, ...Object.entries(own)];
}

/** The Hugging Face name of a GGUF tensor; null for one that the architecture does not have. */
export function huggingFaceName(ggufName: string, own: OwnNames = {}): string | null {
  const match = /^(?:blk\.(\d+)\.)?(\w+)\.(weight|bias)$/.exec(ggufName);
  if (match === null) return null;
  const [, layer, part, kind] = match;
  const names = layer === undefined ? Object.entries(GLOBAL) : namesInLayer(own);
  const found = names.find(([gguf]) => gguf === part)?.[1];
  if (found === undefined) return null;
  return `${layer === undefined ? "" : `model.layers.${layer}.`}${found}.${kind}`;
}

/** The GGUF name of a Hugging Face tensor; null for one that the architecture does not have. */
export function ggufName(name: string, own: OwnNames = {}): string | null {
  const [, layer, part = "", kind] =
    /^(?:model\.layers\.(\d+)\.)?(.+)\.(weight|bias)$/.exec(name) ?? [];
  const names = layer === undefined ? Object.entries(GLOBAL) : namesInLayer(own);
  const found = names.find(([, huggingFace]) => huggingFace === part)?.[0];
  if (found === undefined) return null;
  return `${layer === undefined ? "" : `blk.${layer}.`}${found}.${kind}`;
}
