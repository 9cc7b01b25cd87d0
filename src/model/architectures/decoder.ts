/** What all LLaMA-like decoders share when their configuration is read; each architecture adds its own part. */
import type { HiddenAct, ModelConfig } from "../../engine/protocol.gen.ts";
import type { GgufFile } from "../../io/gguf.ts";
import type { GgufField } from "../../io/gguf_writer.ts";
import { ConfigFields } from "../config_fields.ts";
import { ropeFromGguf, ropeFromHuggingFace, ropeToGguf } from "../rope.ts";
import type { Stack } from "../stacks.ts";

/** A family of models: how its configuration is read. One file per family, listed in `mod.ts`. */
export interface Architecture {
  /** `model_type` in config.json. */
  modelType: string;
  /** The class that transformers loads the model with. */
  className: string;
  /** Reads a Hugging Face config.json. */
  fromHuggingFace(config: ConfigFields): ModelConfig;
  /** Keys of its config.json beside those of every decoder; none unless given. */
  toHuggingFace?(config: ModelConfig): Record<string, unknown>;
  /** `model_type` of the family that equals it and has every tensor of its own, where it has not; see `stacks`. */
  writtenAs?: string;
  /** What a folder's tensor is called here, null where it is no part of the decoder; the same name unless given. */
  tensorName?(stored: string): string | null;
  /** Tensors of a folder that hold several matrices; none unless given. */
  stacks?(config: ModelConfig): Stack[];
  /** How GGUF files hold it; the first of the registry reads what several are stored as. */
  gguf: GgufArchitecture;
}

/** The GGUF side of an architecture. */
export interface GgufArchitecture {
  /** `general.architecture` in the metadata. */
  name: string;
  /** Whether q and k rows are stored with the two halves of each head interleaved. */
  interleavesHeads: boolean;
  /** Reads the metadata. */
  read(file: GgufFile): ModelConfig;
  /** What `read` takes beside the keys of every decoder, by key without the architecture's name; nothing unless given. */
  metadata?(config: ModelConfig): Record<string, GgufField>;
  /** Hugging Face names of a layer's tensors that LLaMA lacks or names otherwise, by their names in GGUF; see `gguf_names`. */
  names?: Readonly<Record<string, string>>;
  /** Whether one is added to the weights of norms when they are stored; see `gguf_norms`. */
  addsOneToNorms?: true;
  /** Tensors that hold several matrices, under their Hugging Face names; none unless given. */
  stacks?(config: ModelConfig): Stack[];
}

/** What differs between architectures where config.json leaves a key out. */
export interface DecoderDefaults {
  max_position_embeddings: number;
  rms_norm_eps: number;
  /** Absent: hidden_size / num_attention_heads. */
  head_dim?: number;
  /** Absent: 10 000. */
  rope_theta?: number;
  /** Absent: false. */
  tie_word_embeddings?: boolean;
  /** The activation that the architecture has looked for; absent: config.json must not name another than silu. */
  hidden_act?: HiddenAct;
}

/** Reads the common keys of config.json, without attention biases, q/k norms or a sliding window. */
export function decoderFromHuggingFace(
  config: ConfigFields,
  defaults: DecoderDefaults,
): ModelConfig {
  if (defaults.hidden_act === undefined) config.only("hidden_act", "silu");
  config.only("mlp_bias", false);
  const hidden_size = config.size("hidden_size");
  const num_attention_heads = config.size("num_attention_heads");
  return checked(config, {
    hidden_size,
    intermediate_size: config.size("intermediate_size"),
    num_hidden_layers: config.layers("num_hidden_layers"),
    num_attention_heads,
    num_key_value_heads: config.size("num_key_value_heads", num_attention_heads),
    head_dim: config.size("head_dim", defaults.head_dim ?? hidden_size / num_attention_heads),
    vocab_size: config.size("vocab_size"),
    max_position_embeddings: config.size(
      "max_position_embeddings",
      defaults.max_position_embeddings,
    ),
    rms_norm_eps: config.positive("rms_norm_eps", defaults.rms_norm_eps),
    ...ropeFromHuggingFace(config, defaults.rope_theta),
    tie_word_embeddings: config.boolean(
      "tie_word_embeddings",
      defaults.tie_word_embeddings ?? false,
    ),
    attention_bias: false,
    qk_norm: false,
    sliding_window: null,
  });
}

/** The metadata of architecture `name`. */
export function ggufFields(file: GgufFile, name: string): ConfigFields {
  return new ConfigFields(
    `${file.path}: ${name}`,
    (key) => file.metadata.get(`${name}.${key}`),
  );
}

/** What the rotary positions multiply scores by, which only other scalings than are known here change. */
const ATTENTION_FACTOR_KEY = "rope.scaling.attn_factor";

/** Reads the common GGUF metadata of architecture `name`, with the same omissions. */
export function decoderFromGguf(file: GgufFile, name: string): ModelConfig {
  const fields = ggufFields(file, name);
  if (fields.value("expert_count") !== 0 && fields.has("expert_count")) {
    throw fields.unsupported("expert_count", "0 (no mixture of experts)");
  }
  if (fields.value("attention.causal") === false) {
    throw fields.unsupported("attention.causal", "true");
  }
  if (fields.has(ATTENTION_FACTOR_KEY) && fields.value(ATTENTION_FACTOR_KEY) !== 1) {
    throw fields.unsupported(ATTENTION_FACTOR_KEY, "1");
  }
  const hidden_size = fields.size("embedding_length");
  const num_attention_heads = fields.size("attention.head_count");
  const head_dim = fields.size("attention.key_length", hidden_size / num_attention_heads);
  if (fields.size("attention.value_length", head_dim) !== head_dim) {
    throw fields.mismatch("attention.value_length", `${head_dim}, as attention.key_length`);
  }
  const window = fields.value("attention.sliding_window") ?? 0;
  return checked(fields, {
    hidden_size,
    intermediate_size: fields.size("feed_forward_length"),
    num_hidden_layers: fields.layers("block_count"),
    num_attention_heads,
    num_key_value_heads: fields.size("attention.head_count_kv", num_attention_heads),
    head_dim,
    vocab_size: fields.size("vocab_size", file.strings("tokenizer.ggml.tokens")?.length),
    max_position_embeddings: fields.size("context_length"),
    rms_norm_eps: fields.positive("attention.layer_norm_rms_epsilon"),
    ...ropeFromGguf(fields, file, head_dim),
    tie_word_embeddings: !file.tensors.has("output.weight"),
    attention_bias: false,
    qk_norm: false,
    sliding_window: window === 0 ? null : fields.size("attention.sliding_window"),
  });
}

/** The GGUF metadata of a decoder, by key: what `decoderFromGguf` reads. */
export function decoderToGguf(name: string, config: ModelConfig): Map<string, GgufField> {
  const u32 = (value: number): GgufField => ({ type: "u32", value });
  const { sliding_window } = config;
  const fields: Record<string, GgufField> = {
    context_length: u32(config.max_position_embeddings),
    embedding_length: u32(config.hidden_size),
    block_count: u32(config.num_hidden_layers),
    feed_forward_length: u32(config.intermediate_size),
    "attention.head_count": u32(config.num_attention_heads),
    "attention.head_count_kv": u32(config.num_key_value_heads),
    "attention.key_length": u32(config.head_dim),
    "attention.value_length": u32(config.head_dim),
    "attention.layer_norm_rms_epsilon": { type: "f32", value: config.rms_norm_eps },
    ...(sliding_window === null ? {} : { "attention.sliding_window": u32(sliding_window) }),
    vocab_size: u32(config.vocab_size),
    "rope.dimension_count": u32(config.head_dim),
    ...ropeToGguf(config),
  };
  return new Map(Object.entries(fields).map(([key, field]) => [`${name}.${key}`, field]));
}

function checked(fields: ConfigFields, config: ModelConfig): ModelConfig {
  const { num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim } = config;
  if (heads % kvHeads !== 0) {
    throw fields.fail(`${heads} attention heads cannot share ${kvHeads} key-value heads evenly`);
  }
  if (head_dim % 2 !== 0) throw fields.fail(`the head width ${head_dim} is odd; expected even`);
  return config;
}
