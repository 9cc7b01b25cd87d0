/** The demo model's configuration and tokenizer, in the files of a Hugging Face folder. */

const END = "<|end|>";
const ASSISTANT = "<|assistant|>";
const SPECIAL_TOKENS = [END, "<|user|>", ASSISTANT];

const CHAT_TEMPLATE = "{% for message in messages %}{{ '<|' + message['role'] + '|>' }}" +
  "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] + eos_token }}" +
  "{% endgeneration %}{% else %}{{ message['content'] }}{% endif %}{% endfor %}" +
  `{% if add_generation_prompt %}{{ '${ASSISTANT}' }}{% endif %}`;

/**
 * All files but the weights, by name.
 *
 * @param texts Instructions; each of their words becomes a token, and all else is read byte by byte.
 */
export function modelFiles(texts: readonly string[]): Map<string, string> {
  const vocabulary = [...SPECIAL_TOKENS, ...byteTokens().values(), ...wordTokens(texts)];
  return new Map(
    Object.entries({
      "config.json": modelConfig(vocabulary.length),
      "tokenizer.json": tokenizer(vocabulary),
      "tokenizer_config.json": {
        tokenizer_class: "PreTrainedTokenizerFast",
        eos_token: END,
        model_max_length: 256,
        chat_template: CHAT_TEMPLATE,
      },
      "generation_config.json": { eos_token_id: 0 },
    }).map(([name, content]) => [name, JSON.stringify(content, null, 2) + "\n"]),
  );
}

function modelConfig(vocabularySize: number) {
  return {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    torch_dtype: "float16",
    vocab_size: vocabularySize,
    hidden_size: 128,
    intermediate_size: 352,
    num_hidden_layers: 5,
    num_attention_heads: 4,
    num_key_value_heads: 4,
    head_dim: 32,
    hidden_act: "silu",
    max_position_embeddings: 256,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    tie_word_embeddings: true,
    attention_bias: false,
    mlp_bias: false,
    eos_token_id: 0,
  };
}

function tokenizer(vocabulary: readonly string[]) {
  return {
    version: "1.0",
    added_tokens: SPECIAL_TOKENS.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: {
      type: "ByteLevel",
      add_prefix_space: false,
      trim_offsets: true,
      use_regex: true,
    },
    post_processor: null,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      vocab: Object.fromEntries(vocabulary.map((token, id) => [token, id])),
      merges: [],
      // Without merges, a word is one token where it is known and bytes where it is not.
      ignore_merges: true,
    },
  };
}

/** The character that stands for each byte in byte-level vocabularies: itself where it is printable. */
function byteTokens(): Map<number, string> {
  const tokens = new Map<number, string>();
  let next = 256;
  for (let byte = 0; byte < 256; byte++) {
    const printable = byte > 32 && byte < 127 || byte > 160 && byte !== 173;
    tokens.set(byte, String.fromCharCode(printable ? byte : next++));
  }
  return tokens;
}

function wordTokens(texts: readonly string[]): Set<string> {
  const words = texts.flatMap((text) => text.match(/ ?[A-Za-z]{2,}/g) ?? []);
  return new Set(words.map((word) => word.replace(" ", byteTokens().get(32) ?? "")));
}
