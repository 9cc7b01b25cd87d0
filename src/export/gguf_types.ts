/** The types that GGUF models are saved as, and what each of their tensors is stored in. */

import type { FormatInfo, ModelConfig, WeightFormat } from "../engine/protocol.gen.ts";

/** A type that a GGUF model can be saved as. */
export type GgufType = "f32" | "f16" | "bf16" | "q8_0" | "q4_0" | "q4_k";

/** Each type's `general.file_type` in the metadata; the most exact first. */
const FILE_TYPES: Readonly<Record<GgufType, number>> = {
  f32: 0,
  f16: 1,
  bf16: 32,
  q8_0: 7,
  q4_0: 2,
  q4_k: 15,
};

/** All of them. */
export const GGUF_TYPES: readonly GgufType[] = Object.keys(FILE_TYPES) as GgufType[];

/** `general.file_type` of a model. */
export function fileTypeOf(type: GgufType): number {
  return FILE_TYPES[type];
}

/** What stands in for a format whose blocks the rows of a matrix do not fill. */
const NARROWER: Partial<Record<WeightFormat, WeightFormat>> = {
  q4_k: "q5_0",
  q5_k: "q5_1",
  q6_k: "q8_0",
};

/** A tensor as a GGUF file has it, by its Hugging Face name. */
interface StoredTensor {
  readonly name: string;
  readonly shape: readonly number[];
}

/**
 * What a tensor is stored in. Vectors stay f32. In 4 bits the output head stays at 6, and of a `q4_k` model so do v and
 * down projections of the first and last eighth of the layers and of every third between; fused q, k and v have 5 bits
 * then. Rows that are not whole blocks are stored in smaller blocks of more bits, or else in f16. This is how llama.cpp
 * mixes `Q4_0` and `Q4_K_M` (`llama_tensor_get_type` in src/llama-quant.cpp).
 */
export function storedFormat(
  type: GgufType,
  { name, shape }: StoredTensor,
  config: ModelConfig,
  infoOf: (format: WeightFormat) => Pick<FormatInfo, "blockElements">,
): WeightFormat {
  if (shape.length === 1) return "f32";
  const columns = shape[1] ?? 0;
  const fits = (format: WeightFormat) => columns % infoOf(format).blockElements === 0;
  const wanted = wantedFormat(type, name, config);
  if (fits(wanted)) return wanted;
  const narrower = NARROWER[wanted];
  return narrower !== undefined && fits(narrower) ? narrower : "f16";
}

function wantedFormat(type: GgufType, name: string, config: ModelConfig): WeightFormat {
  if (type !== "q4_0" && type !== "q4_k") return type;
  const head = config.tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight";
  if (name === head) return "q6_k";
  if (type === "q4_0") return type;
  const [, layer, part] = /^model\.layers\.(\d+)\.(.+)\.weight$/.exec(name) ?? [];
  if (part === "self_attn.qkv_proj") return "q5_k";
  const isSensitive = part === "self_attn.v_proj" || part === "mlp.down_proj";
  return isSensitive && hasMoreBits(Number(layer), config.num_hidden_layers) ? "q6_k" : type;
}

function hasMoreBits(layer: number, layers: number): boolean {
  const eighth = Math.floor(layers / 8);
  return layer < eighth || layer >= Math.floor(7 * layers / 8) || (layer - eighth) % 3 === 2;
}
