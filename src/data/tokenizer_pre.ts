/** How byte-level vocabularies of GGUF files cut text into words, by `tokenizer.ggml.pre`. */
import { GPT2_PATTERN } from "./tokenizer_json.ts";

/** What `tokenizer.ggml.pre` implies. */
export interface PreTokenizer {
  /** Applied in turn, each to the words that the one before left. */
  patterns: readonly string[];
  /** Whether characters are composed first. */
  composes?: boolean;
  /** Whether a word that is a token stays whole. */
  ignoresMerges?: boolean;
  /** Whether a begin token is added where the metadata does not say. */
  addsBos?: boolean;
}

const DIGIT = String.raw`\p{N}`;
const UP_TO_THREE_DIGITS = String.raw`\p{N}{1,3}`;

const LLAMA3_PATTERN = String
  .raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
const QWEN2_PATTERN = LLAMA3_PATTERN.replace("{1,3}", "");
const QWEN35_PATTERN = String
  .raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;

/** A word in upper and then lower case, of any script. */
const UPPER = String.raw`[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`;
const LOWER = String.raw`[\p{Ll}\p{Lm}\p{Lo}\p{M}]`;
const AFTER_CASED = String.raw` ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
const TEKKEN_PATTERN = String
  .raw`[^\r\n\p{L}\p{N}]?${UPPER}*${LOWER}+|[^\r\n\p{L}\p{N}]?${UPPER}+${LOWER}*|\p{N}|${AFTER_CASED}`;
const GPT4O_PATTERN = String
  .raw`[^\r\n\p{L}\p{N}]?${UPPER}*${LOWER}+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?${UPPER}+${LOWER}*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}|${AFTER_CASED}`;

const DEEPSEEK3_PATTERNS = [
  UP_TO_THREE_DIGITS,
  "[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+",
  String
    .raw`[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_${"`"}{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
];

/** Lines, words and punctuation with the space before them, East Asian scripts, digits one by one. */
const DEEPSEEK_CODER_PATTERNS = [
  String.raw`[\r\n]`,
  String.raw`\s?\p{L}+`,
  String.raw`\s?\p{P}+`,
  "[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+",
  DIGIT,
];

const GPT2: PreTokenizer = { patterns: [GPT2_PATTERN] };
/** Every digit alone, then words as in GPT-2. */
const DIGITS_GPT2: PreTokenizer = { patterns: [DIGIT, GPT2_PATTERN] };
const LLAMA3: PreTokenizer = { patterns: [LLAMA3_PATTERN], ignoresMerges: true, addsBos: true };
const LLAMA3_PLAIN: PreTokenizer = { patterns: [LLAMA3_PATTERN] };
const QWEN2: PreTokenizer = { patterns: [QWEN2_PATTERN], composes: true };
const GPT4O: PreTokenizer = { patterns: [GPT4O_PATTERN] };

/** The names that are known. */
export const PRE_TOKENIZERS: ReadonlyMap<string, PreTokenizer> = new Map<string, PreTokenizer>([
  ["smollm", DIGITS_GPT2],
  ["starcoder", DIGITS_GPT2],
  ["refact", DIGITS_GPT2],
  ["command-r", DIGITS_GPT2],
  ["codeshell", DIGITS_GPT2],
  ["exaone", DIGITS_GPT2],
  ["minerva-7b", DIGITS_GPT2],
  ["llama-bpe", LLAMA3],
  ["llama3", LLAMA3],
  ["llama-v3", LLAMA3],
  ["falcon3", LLAMA3],
  ["falcon-h1", LLAMA3],
  ["pixtral", LLAMA3],
  ["midm-2.0", LLAMA3],
  ["lfm2", LLAMA3],
  ["dbrx", LLAMA3_PLAIN],
  ["smaug-bpe", LLAMA3_PLAIN],
  ["glm4", { patterns: [LLAMA3_PATTERN], ignoresMerges: true }],
  ["chatglm-bpe", LLAMA3_PLAIN],
  ["qwen2", QWEN2],
  ["deepseek-r1-qwen", QWEN2],
  ["stablelm2", { patterns: [QWEN2_PATTERN] }],
  ["hunyuan", { patterns: [QWEN2_PATTERN] }],
  ["qwen35", { patterns: [QWEN35_PATTERN], composes: true }],
  ["tekken", { patterns: [TEKKEN_PATTERN], ignoresMerges: true, addsBos: true }],
  ["gpt-4o", GPT4O],
  ["llama4", GPT4O],
  ["deepseek-coder", { patterns: DEEPSEEK_CODER_PATTERNS }],
  ["deepseek-v3", { patterns: DEEPSEEK3_PATTERNS }],
  ["gpt-2", GPT2],
  ["phi-2", GPT2],
  ["olmo", GPT2],
  ["mpt", GPT2],
  ["jais", GPT2],
  ["exaone4", GPT2],
  // What llama.cpp takes for a vocabulary of no known kind.
  [
    "default",
    {
      patterns: [
        String.raw`[\p{P}\$\+<=>\^~\|]+`,
        GPT2_PATTERN,
        String.raw`\p{N}+`,
        "[0-9][0-9][0-9]",
      ],
    },
  ],
]);
