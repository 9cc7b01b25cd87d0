/** The vectors of tests/golden/tokenizers, and the files that they are of. */
import type { GgufField } from "./gguf_builder.ts";
import { buildGguf } from "./gguf_builder.ts";

/** The folder of the vectors and of SentencePiece's models. */
export const TOKENIZERS = new URL("../golden/tokenizers", import.meta.url).pathname;

/** What a library makes of a text. */
export interface TokenizerVector {
  text: string;
  ids: number[];
  /** What it makes of the ids, where that was asked. */
  decoded?: string;
}

/** A vocabulary of pieces, as GGUF files have it. */
export interface GgufPieces {
  name: string;
  space_prefix: boolean;
  tokens: string[];
  scores: number[];
  types: number[];
  vectors: TokenizerVector[];
}

/** The content of vectors.json. */
export interface TokenizerVectors {
  /** By the model's name; the text is without special tokens. */
  sentencepiece: Record<string, TokenizerVector[]>;
  tokenizer_json: { name: string; json: Record<string, unknown>; vectors: TokenizerVector[] }[];
  gguf_pieces: GgufPieces[];
  gguf_pre: {
    tokens: string[];
    merges: string[];
    texts: string[];
    /** By `tokenizer.ggml.pre`, per text. */
    ids: Record<string, number[][]>;
  };
}

/** Reads them. */
export function tokenizerVectors(): TokenizerVectors {
  return JSON.parse(Deno.readTextFileSync(`${TOKENIZERS}/vectors.json`));
}

/** A GGUF file with a vocabulary of pieces. */
export function piecesGguf(pieces: GgufPieces, more: [string, GgufField][] = []): Uint8Array {
  const fields: [string, GgufField][] = [
    ["tokenizer.ggml.model", { type: "string", value: "llama" }],
    ["tokenizer.ggml.tokens", { type: "strings", value: pieces.tokens }],
    ["tokenizer.ggml.scores", { type: "f32s", value: pieces.scores }],
    ["tokenizer.ggml.token_type", { type: "i32s", value: pieces.types }],
    ["tokenizer.ggml.add_space_prefix", { type: "bool", value: pieces.space_prefix }],
  ];
  return buildGguf({ metadata: [...new Map([...fields, ...more])] });
}
