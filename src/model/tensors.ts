/** Which tensors a model of a given configuration consists of, under their Hugging Face names. */
import { SpielError } from "../errors.ts";
import type { ModelConfig, WeightFormat } from "../engine/protocol.gen.ts";

/** One tensor of a model as stored. */
export interface ModelTensor {
  /** How it is stored. */
  format: WeightFormat;
  /** [out, in] for a matrix, [n] for a vector. */
  shape: number[];
  /** Bytes as stored. */
  byteLength: number;
}

/** Shapes of all tensors that a configuration asks for, in the order of the forward pass. */
export function expectedShapes(config: ModelConfig): Map<string, number[]> {
  const { hidden_size: hidden, intermediate_size: feedForward, head_dim } = config;
  const placement = config.norm_placement ?? "pre";
  const queries = config.num_attention_heads * head_dim;
  const keys = config.num_key_value_heads * head_dim;
  const shapes = new Map<string, number[]>();
  shapes.set("model.embed_tokens.weight", [config.vocab_size, hidden]);
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const set = (name: string, shape: number[]) =>
      shapes.set(`model.layers.${layer}.${name}`, shape);
    if (placement !== "post") set("input_layernorm.weight", [hidden]);
    set("self_attn.q_proj.weight", [queries, hidden]);
    set("self_attn.k_proj.weight", [keys, hidden]);
    set("self_attn.v_proj.weight", [keys, hidden]);
    if (config.attention_bias) {
      set("self_attn.q_proj.bias", [queries]);
      set("self_attn.k_proj.bias", [keys]);
      set("self_attn.v_proj.bias", [keys]);
    }
    if (config.qk_norm) {
      const isWide = config.qk_norm_span === "row";
      set("self_attn.q_norm.weight", [isWide ? queries : head_dim]);
      set("self_attn.k_norm.weight", [isWide ? keys : head_dim]);
    }
    set("self_attn.o_proj.weight", [hidden, queries]);
    // After the attention, or else before the feed-forward layer.
    set("post_attention_layernorm.weight", [hidden]);
    if (placement === "both") set("pre_feedforward_layernorm.weight", [hidden]);
    set("mlp.gate_proj.weight", [feedForward, hidden]);
    set("mlp.up_proj.weight", [feedForward, hidden]);
    set("mlp.down_proj.weight", [hidden, feedForward]);
    if (placement !== "pre") set("post_feedforward_layernorm.weight", [hidden]);
  }
  shapes.set("model.norm.weight", [hidden]);
  if (!config.tie_word_embeddings) shapes.set("lm_head.weight", [config.vocab_size, hidden]);
  return shapes;
}

/**
 * Picks the tensors that a configuration asks for out of those that are there.
 *
 * @param where The file that says which tensors there are.
 * @param found Every tensor of the model by Hugging Face name; `unusable` says why one cannot be read.
 * @param fileOf The file that a tensor lies in, where that is another one.
 */
export function matchTensors(
  where: string,
  config: ModelConfig,
  found: ReadonlyMap<string, ModelTensor | { unusable: string }>,
  fileOf: (name: string) => string | undefined = () => where,
): Map<string, ModelTensor> {
  const fileWith = (name: string) => fileOf(name) ?? where;
  if (config.num_hidden_layers > found.size) {
    throw new SpielError(
      "data",
      `${where} lacks most of the ${config.num_hidden_layers} layers of its configuration: ` +
        `it has ${found.size} tensors`,
    );
  }
  const expected = expectedShapes(config);
  const missing = [...expected.keys()].filter((name) => !found.has(name));
  if (missing.length > 0) {
    const more = missing.length > 3 ? ` and ${missing.length - 3} more` : "";
    throw new SpielError(
      "data",
      `${where} lacks ${missing.slice(0, 3).map((name) => `"${name}"`).join(", ")}${more}`,
    );
  }
  const extra = [...found.keys()].find((name) => !expected.has(name) && !isIgnored(name, config));
  if (extra !== undefined) {
    throw new SpielError(
      "data",
      `${fileWith(extra)} has the tensor "${extra}", which its configuration does not explain`,
    );
  }
  const tensors = new Map<string, ModelTensor>();
  for (const [name, shape] of expected) {
    const tensor = found.get(name)!;
    if ("unusable" in tensor) {
      throw new SpielError("data", `${fileWith(name)}: tensor "${name}" ${tensor.unusable}`);
    }
    if (tensor.shape.join() !== shape.join()) {
      throw new SpielError(
        "data",
        `${fileWith(name)}: tensor "${name}" has shape [${tensor.shape.join(", ")}]; ` +
          `expected [${shape.join(", ")}] by its configuration`,
      );
    }
    tensors.set(name, tensor);
  }
  return tensors;
}

/** Tensors that carry nothing: a copy of the tied head, and frequencies that old checkpoints stored. */
function isIgnored(name: string, config: ModelConfig): boolean {
  return (config.tie_word_embeddings && name === "lm_head.weight") ||
    name.endsWith(".rotary_emb.inv_freq");
}
