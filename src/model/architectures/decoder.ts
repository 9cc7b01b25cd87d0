/** What all LLaMA-like decoders share when their configuration is read; each architecture adds its own part. */
import type { HiddenAct, ModelConfig } from "../../engine/protocol.gen.ts";
import type { GgufFile } from "../../io/gguf.ts";
import { ConfigFields } from "../config_fields.ts";
import { ropeFromGguf, ropeFromHuggingFace } from "../rope.ts";
import type { Stack } from "../stacks.ts";

/** A family of models: how its configuration is read. One file per family, listed in `mod.ts`. */
export interface Architecture {
  /** `model_type` in config.json. */
  modelType: string;
  /** The class that transformers loads the model with. */
  className: string;
  /** Reads a Hugging Face config.json. */
  fromHuggingFace(config: ConfigFields): ModelConfig;
  /** `model_type` of the family that equals it and has every tensor of its own, where it has not; see `stacks`. */
  writtenAs?: string;
  /** What a folder's tensor is called here, null where it is no part of the decoder; the same name unless given. */
  tensorName?(stored: string): string | null;
  /** Tensors of a folder that hold several matrices; none unless given. */
  stacks?(config: ModelConfig): Stack[];
  /** What config.json has beside the keys of every decoder; nothing unless given. */
  toHuggingFace?(config: ModelConfig): Record<string, unknown>;
  /** How GGUF files hold it; null when they store it as another architecture. */
  gguf: GgufArchitecture | null;
}

/** The GGUF side of an architecture. */
export interface GgufArchitecture {
  /** `general.architecture` in the metadata. */
  name: string;
  /** Whether q and k rows are stored with the two halves of each head interleaved. */
  interleavesHeads: boolean;
  /** Reads the metadata. */
  read(file: GgufFile): ModelConfig;
  /** What a layer's parts are called here that files call otherwise than those of other architectures. */
  layerNames?: Readonly<Record<string, string>>;
  /** Whether one is added to the weights of norms when they are stored. */
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
    ...ropeFromHuggingFace(config),
    tie_word_embeddings: config.boolean(
      "tie_word_embeddings",
      defaults.tie_word_embeddings ?? false,
    ),
    attention_bias: false,
    qk_norm: false,
    sliding_window: null,
  });
}

/** Reads the common GGUF metadata of architecture `name`, with the same omissions. */
export function decoderFromGguf(file: GgufFile, name: string): ModelConfig {
  const fields = new ConfigFields(
    `${file.path}: ${name}`,
    (key) => file.metadata.get(`${name}.${key}`),
  );
  if (fields.value("expert_count") !== 0 && fields.has("expert_count")) {
    throw fields.unsupported("expert_count", "0 (no mixture of experts)");
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

function checked(fields: ConfigFields, config: ModelConfig): ModelConfig {
  const { num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim } = config;
  if (heads % kvHeads !== 0) {
    throw fields.fail(`${heads} attention heads cannot share ${kvHeads} key-value heads evenly`);
  }
  if (head_dim % 2 !== 0) throw fields.fail(`the head width ${head_dim} is odd; expected even`);
  return config;
}

/**
 * The sliding window of Qwen models, which only `use_sliding_window` switches on.
 * The engine has one window for all layers, so a model that mixes both kinds is refused.
 */
export function qwenSlidingWindow(config: ConfigFields, layers: number): number | null {
  if (!config.boolean("use_sliding_window", false)) return null;
  const isWindowed = layerWindows(config, layers);
  if (!isWindowed.includes(true)) return null;
  if (isWindowed.includes(false)) {
    throw config.fail(
      `only some of the ${layers} layers have a sliding window ` +
        `(max_window_layers ${config.value("max_window_layers")}); expected all or none`,
    );
  }
  return config.size("sliding_window");
}

function layerWindows(config: ConfigFields, layers: number): boolean[] {
  const types = config.value("layer_types");
  if (Array.isArray(types) && types.length === layers) {
    return types.map((type) => type === "sliding_attention");
  }
  if (types !== undefined) throw config.mismatch("layer_types", `a list of ${layers} layer types`);
  const firstWindowed = config.value("max_window_layers");
  if (typeof firstWindowed !== "number") throw config.mismatch("max_window_layers", "a number");
  return Array.from({ length: layers }, (_, layer) => layer >= firstWindowed);
}
