/** Reads the tokenizer files of a Hugging Face folder. */
import { SpielError } from "../errors.ts";
import {
  isFile,
  isObject,
  MAX_CONFIG_BYTES,
  readJsonObject,
  readTextFile,
} from "../io/random_access.ts";
import { mistakenForModel } from "../io/recognise.ts";
import { readSpecialTokenIds } from "./special_tokens.ts";
import type { TokenizerParts } from "./tokenizer.ts";
import { readSentencePieceModel } from "./tokenizer_protobuf.ts";
import { addedToken, type AddedTokenJson, sentencePieceJson } from "./tokenizer_sentencepiece.ts";
import { surroundWith } from "./tokenizer_surround.ts";

/** The largest known, of 262,144 tokens, has 33 MB. */
const MAX_TOKENIZER_BYTES = 64 * 1024 * 1024;

/** Reads tokenizer.json, or else tokenizer.model, and where present tokenizer_config.json and chat_template.jinja. */
export function readFolderTokenizer(folder: string): TokenizerParts {
  const where = `${folder}/tokenizer.json`;
  const sentencePiece = `${folder}/tokenizer.model`;
  const isSentencePiece = !isFile(where);
  if (isSentencePiece && !isFile(sentencePiece)) {
    const mistaken = mistakenForModel(folder);
    if (mistaken !== undefined) throw new SpielError("data", `Model "${folder}" ${mistaken}`);
    throw new SpielError("data", `${folder} has neither tokenizer.json nor tokenizer.model`);
  }
  const configPath = `${folder}/tokenizer_config.json`;
  const { chat_template: inlineTemplate, ...config } = optionalJson(configPath);
  const map = optionalJson(`${folder}/special_tokens_map.json`);
  const templatePath = `${folder}/chat_template.jinja`;
  const named = (name: string) => tokenText(config[name]) ?? tokenText(map[name]);
  const { json, bosToken, eosToken } = isSentencePiece
    ? readSentencePieceFolder(folder, config)
    : { json: readJsonObject(where, MAX_TOKENIZER_BYTES), bosToken: null, eosToken: null };
  const parts: TokenizerParts = {
    where: isSentencePiece ? sentencePiece : where,
    json,
    config,
    bosToken: named("bos_token") ?? bosToken,
    eosToken: named("eos_token") ?? eosToken,
    eosTokenIds: readSpecialTokenIds(folder).eos,
    ...(isFile(templatePath)
      ? {
        chatTemplate: readTextFile(templatePath, MAX_CONFIG_BYTES),
        templateWhere: templatePath,
      }
      : { chatTemplate: templateText(inlineTemplate), templateWhere: configPath }),
  };
  return withSurroundings(parts, isSentencePiece);
}

/** The content of tokenizer.json for a folder that has tokenizer.model instead. */
function readSentencePieceFolder(folder: string, config: Record<string, unknown>) {
  const path = `${folder}/tokenizer.model`;
  const { vocabulary, bos, eos } = readSentencePieceModel(path);
  const isPrefixed = vocabulary.spacePrefix !== "none" && config.add_prefix_space !== false;
  const json = sentencePieceJson({
    ...vocabulary,
    spacePrefix: isPrefixed ? config.legacy === false ? "first" : "every" : "none",
  }, path);
  const added = new Map(json.added_tokens.map((token) => [token.id, token]));
  for (const token of laterTokens(folder, config)) added.set(token.id, token);
  const text = (id: number | null) => id === null ? null : vocabulary.pieces[id]!.text;
  return {
    json: { ...json, added_tokens: [...added.values()].sort((a, b) => a.id - b.id) },
    bosToken: text(bos),
    eosToken: text(eos),
  };
}

/** Tokens that were added beside tokenizer.model: in tokenizer_config.json, or before that in added_tokens.json. */
function laterTokens(folder: string, config: Record<string, unknown>): AddedTokenJson[] {
  const path = `${folder}/added_tokens.json`;
  const older = Object.entries(optionalJson(path)).map(([content, id]) => {
    if (typeof id !== "number") throw new SpielError("data", `${path}: "${content}" has no id`);
    return addedToken(id, content, false);
  });
  const decoder = isObject(config.added_tokens_decoder) ? config.added_tokens_decoder : {};
  const newer = Object.entries(decoder).map(([id, token]) => {
    if (!isObject(token) || typeof token.content !== "string") {
      throw new SpielError(
        "data",
        `${folder}/tokenizer_config.json: added_tokens_decoder ${id} has no content`,
      );
    }
    const flags = ["lstrip", "rstrip", "single_word", "normalized"].map((
      name,
    ) => [name, token[name] === true]);
    return {
      ...addedToken(Number(id), token.content, token.special === true),
      ...Object.fromEntries(flags),
    };
  });
  return [...older, ...newer];
}

/**
 * Follows `add_bos_token` and `add_eos_token` of tokenizer_config.json, which have the last word where either is given.
 * SentencePiece models begin a text where neither is.
 */
function withSurroundings(parts: TokenizerParts, isSentencePiece: boolean): TokenizerParts {
  const { config: { add_bos_token: bos, add_eos_token: eos }, json, bosToken, eosToken } = parts;
  if (typeof bos !== "boolean" && typeof eos !== "boolean" && !isSentencePiece) return parts;
  const token = (content: string | null) => {
    const id = content === null ? undefined : tokenId(json, content);
    return content === null || id === undefined || id < 0 ? null : { content, id };
  };
  const addsBos = typeof bos === "boolean" ? bos : isSentencePiece;
  const post_processor = surroundWith(
    addsBos ? token(bosToken) : null,
    eos === true ? token(eosToken) : null,
  );
  return { ...parts, json: { ...json, post_processor } };
}

function tokenId({ added_tokens: added, model }: Record<string, unknown>, content: string) {
  const token = Array.isArray(added)
    ? added.find((entry) => isObject(entry) && entry.content === content)
    : undefined;
  if (token !== undefined) return token.id as number;
  const vocab = isObject(model) ? model.vocab : undefined;
  if (Array.isArray(vocab)) return vocab.findIndex((piece) => piece?.[0] === content);
  return isObject(vocab) ? vocab[content] as number | undefined : undefined;
}

function optionalJson(path: string): Record<string, unknown> {
  return isFile(path) ? readJsonObject(path) : {};
}

/** A special token is its text, or an object with it. */
function tokenText(value: unknown): string | null {
  if (typeof value === "string") return value;
  return isObject(value) && typeof value.content === "string" ? value.content : null;
}

/** A template, or the one named "default" of a list. */
function templateText(value: unknown): string | null {
  if (typeof value === "string") return value;
  if (!Array.isArray(value)) return null;
  const entry = value.find((item) => isObject(item) && item.name === "default");
  return isObject(entry) && typeof entry.template === "string" ? entry.template : null;
}
