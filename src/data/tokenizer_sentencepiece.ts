/** Builds the content of tokenizer.json from a vocabulary of SentencePiece, which GGUF files have too. */
import { SpielError } from "../errors.ts";

/** What a piece is for, in SentencePiece's and in GGUF's numbers. */
export const PIECE_TYPE = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 };

/** One token of the vocabulary. */
export interface Piece {
  text: string;
  score: number;
  /** One of `PIECE_TYPE`. */
  type: number;
}

/** A vocabulary, and how text is prepared for it. */
export interface PieceVocabulary {
  type: "BPE" | "Unigram";
  /** By id. */
  pieces: readonly Piece[];
  /** Id of the piece that stands for what no piece spells. */
  unknown: number | null;
  /** Whether that is spelled by bytes instead. */
  byteFallback: boolean;
  /**
   * Which stretches of text between special tokens get a space in front: all, or the first unless it begins with one.
   */
  spacePrefix: "every" | "first" | "none";
  /** Whether runs of spaces become one, and spaces around a text none. */
  removesExtraSpaces: boolean;
  /** Compiled rules that replace characters. */
  characterMap: Uint8Array | null;
}

/** A token of tokenizer.json that is recognised as a whole. */
export interface AddedTokenJson {
  id: number;
  content: string;
  single_word: boolean;
  lstrip: boolean;
  rstrip: boolean;
  normalized: boolean;
  special: boolean;
}

const SPACE = "\u2581";

/** Most characters of all parts that pieces are taken apart into. Gemma's, of 262,144 tokens, have some 20 million. */
const MAX_PART_CHARACTERS = 2 ** 28;

/** Spaces at the ends of a text; `^` and `$` are ends of lines to some readers. A Strip would take all white space. */
const OUTER_SPACES = String.raw`(?<![\s\S]) +| +(?![\s\S])`;

/** What removing extra spaces replaces, and by what. */
export const EXTRA_SPACES = [[OUTER_SPACES, ""], [" {2,}", " "]] as const;

/**
 * The content of tokenizer.json, without a post-processor.
 *
 * @param where Names the file in errors.
 * @throws {SpielError} kind "data" when a piece occurs twice, its score is not finite, or pieces are no parts of words.
 */
export function sentencePieceJson(
  vocabulary: PieceVocabulary,
  where: string,
): Record<string, unknown> & { added_tokens: AddedTokenJson[] } {
  const seen = new Set<string>();
  for (const { text, score } of vocabulary.pieces) {
    if (seen.has(text)) {
      throw new SpielError("data", `${where}: token ${JSON.stringify(text)} occurs twice`);
    }
    if (!Number.isFinite(score)) {
      throw new SpielError(
        "data",
        `${where}: the score of token ${JSON.stringify(text)} is ${score}`,
      );
    }
    seen.add(text);
  }
  if (vocabulary.type === "BPE") checkLengths(vocabulary.pieces, where);
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: addedTokens(vocabulary.pieces),
    normalizer: normalizer(vocabulary),
    pre_tokenizer: vocabulary.spacePrefix === "first"
      ? { type: "Metaspace", replacement: SPACE, prepend_scheme: "first", split: false }
      : null,
    post_processor: null,
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: SPACE }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        ...(vocabulary.spacePrefix === "none"
          ? []
          : [{ type: "Strip", content: " ", start: 1, stop: 0 }]),
      ],
    },
    model: vocabulary.type === "BPE" ? bytePairModel(vocabulary) : unigramModel(vocabulary),
  };
}

/** An entry of `added_tokens`. */
export function addedToken(id: number, content: string, special: boolean): AddedTokenJson {
  return {
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special,
  };
}

/** User-defined pieces with spaces are no added tokens: text has its spaces spelled otherwise, and merges make them. */
function addedTokens(pieces: readonly Piece[]): AddedTokenJson[] {
  return pieces.flatMap(({ text, type }, id) => {
    const isSpecial = type === PIECE_TYPE.control || type === PIECE_TYPE.unknown;
    const isUserDefined = type === PIECE_TYPE.userDefined && !text.includes(SPACE);
    return isSpecial || isUserDefined ? [addedToken(id, text, isSpecial)] : [];
  });
}

function normalizer({ characterMap, removesExtraSpaces, spacePrefix }: PieceVocabulary) {
  const steps: Record<string, unknown>[] = [];
  if (characterMap !== null) {
    const precompiled_charsmap = base64(characterMap);
    steps.push({ type: "Precompiled", precompiled_charsmap });
  }
  if (removesExtraSpaces) {
    for (const [Regex, content] of EXTRA_SPACES) {
      steps.push({ type: "Replace", pattern: { Regex }, content });
    }
  }
  if (spacePrefix === "every") steps.push({ type: "Prepend", prepend: SPACE });
  if (spacePrefix !== "first") {
    steps.push({ type: "Replace", pattern: { String: " " }, content: SPACE });
  }
  return steps.length === 0 ? null : { type: "Sequence", normalizers: steps };
}

function base64(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

function unigramModel({ pieces, unknown, byteFallback }: PieceVocabulary) {
  return {
    type: "Unigram",
    unk_id: unknown,
    vocab: pieces.map(({ text, score }) => [text, score]),
    byte_fallback: byteFallback,
  };
}

/** Refuses pieces so long that to take them apart would take minutes. */
function checkLengths(pieces: readonly Piece[], where: string): void {
  const characters = pieces.reduce((sum, { text }) => sum + text.length ** 2, 0);
  if (characters <= MAX_PART_CHARACTERS) return;
  const longest = pieces.reduce((most, { text }) => Math.max(most, text.length), 0);
  throw new SpielError(
    "data",
    `${where}: the tokens, of up to ${longest} characters, are too long; expected words and parts of words`,
  );
}

function bytePairModel({ pieces, unknown, byteFallback }: PieceVocabulary) {
  const vocab: Record<string, number> = Object.create(null);
  pieces.forEach(({ text }, id) => vocab[text] = id);
  return {
    type: "BPE",
    dropout: null,
    unk_token: unknown === null ? null : pieces[unknown]!.text,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: true,
    byte_fallback: byteFallback,
    ignore_merges: false,
    vocab,
    merges: mergesOf(pieces),
  };
}

/**
 * SentencePiece joins the two neighbours whose joint piece has the highest score. Said as merges: every way to join a
 * piece of two others, the higher scores first.
 */
function mergesOf(pieces: readonly Piece[]): [string, string][] {
  const scores = new Map<string, number>();
  for (const { text, score, type } of pieces) {
    const isText = type === PIECE_TYPE.normal || type === PIECE_TYPE.userDefined ||
      type === PIECE_TYPE.unused;
    if (isText) scores.set(text, score);
  }
  const merges: { left: string; right: string; score: number }[] = [];
  for (const [text, score] of scores) {
    for (let at = 1; at < text.length; at++) {
      const left = text.slice(0, at);
      const right = text.slice(at);
      if (scores.has(left) && scores.has(right)) merges.push({ left, right, score });
    }
  }
  // Equal scores: the longer left part first, as transformers orders them.
  merges.sort((a, b) =>
    b.score - a.score || b.left.length - a.left.length || b.right.length - a.right.length
  );
  return merges.map(({ left, right }) => [left, right]);
}
