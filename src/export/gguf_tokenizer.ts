/** The tokenizer's metadata of a GGUF file: that of the base, or made of Hugging Face's files. */

import type { Tokenizer } from "../data/tokenizer.ts";
import { exactTokenizerJson } from "../data/tokenizer_json.ts";
import { SpielError } from "../errors.ts";
import { GgufFile } from "../io/gguf.ts";
import type { GgufField } from "../io/gguf_writer.ts";
import { kindOfPath } from "../io/recognise.ts";
import type { ModelSource } from "../model/source.ts";
import { type ModelTokenizer, turnEnds } from "../model/tokenizer.ts";
import { byteLevelFields } from "./gguf_byte_level.ts";
import { pieceFields } from "./gguf_pieces.ts";

/** What of a model its tokenizer's metadata depend on. */
type TokenizerOwner = Pick<ModelSource, "path" | "config" | "specialTokens">;

/** Metadata by key. */
type Fields = Map<string, GgufField>;

/**
 * The fields whose keys begin with `tokenizer.`.
 *
 * @throws {SpielError} kind "data" naming the file and what GGUF cannot say of its tokenizer.
 */
export function tokenizerFields(source: TokenizerOwner, model: ModelTokenizer): Fields {
  return kindOfPath(source.path) === "gguf"
    ? copiedFields(source.path)
    : convertedFields(source, model);
}

/** A base's own fields, in the types that it has them in. */
function copiedFields(path: string): Fields {
  using file = GgufFile.open(path);
  const keys = [...file.metadata.keys()].filter((key) => key.startsWith("tokenizer."));
  return new Map(keys.map((key) => [key, { type: "stored", value: file.storedValue(key)! }]));
}

function convertedFields(source: TokenizerOwner, model: ModelTokenizer): Fields {
  const { tokenizer } = model;
  const { json, where } = tokenizer.parts;
  const { added, unigram, spelling } = exactTokenizerJson(json, where);
  if (unigram !== null) {
    throw new SpielError(
      "data",
      `${where}: GGUF files of these architectures hold no Unigram vocabulary; ` +
        "leave --gguf out to save a Hugging Face folder",
    );
  }
  const parts = { json, where, added, size: source.config.vocab_size };
  const vocabulary = spelling === "byte_level"
    ? byteLevelFields(parts)
    : pieceFields({ ...parts, folder: source.path });
  const fields: Fields = new Map(
    Object.entries(vocabulary).map(([key, field]) => [
      `tokenizer.ggml.${key}`,
      field,
    ]),
  );
  for (const [name, id] of specialIds(source, model)) {
    fields.set(`tokenizer.ggml.${name}_token_id`, { type: "u32", value: id });
  }
  const [begins, ends] = surroundings(tokenizer);
  fields.set("tokenizer.ggml.add_bos_token", { type: "bool", value: begins });
  fields.set("tokenizer.ggml.add_eos_token", { type: "bool", value: ends });
  const { chatTemplate } = tokenizer;
  if (chatTemplate !== null) {
    fields.set("tokenizer.chat_template", { type: "string", value: chatTemplate });
  }
  return fields;
}

/** Ids by the names that their keys have. There are three for tokens that end a generation. */
function specialIds(
  { specialTokens: { bos } }: TokenizerOwner,
  { tokenizer, stopTokens }: ModelTokenizer,
): Map<string, number> {
  const id = (token: unknown) => {
    const ids = typeof token === "string" ? idsOf(tokenizer, token) : [];
    return ids.length === 1 ? ids[0] : undefined;
  };
  const content = (name: string) => {
    const token = tokenizer.parts.config[name];
    return typeof token === "object" && token !== null && "content" in token
      ? token.content
      : token;
  };
  const eos = id(tokenizer.eosToken) ?? stopTokens[0];
  const others = stopTokens.filter((stop) => stop !== eos);
  const turn = others.find((stop) => turnEnds(tokenizer).includes(stop)) ?? others[0];
  const found = {
    bos: id(tokenizer.bosToken) ?? bos,
    eos,
    eot: turn,
    eom: others.find((stop) => stop !== turn),
    unknown: id(content("unk_token")),
    padding: id(content("pad_token")),
  };
  return new Map(
    Object.entries(found).flatMap(([name, id]) =>
      id === undefined || id === null ? [] : [[name, id]]
    ),
  );
}

function idsOf(tokenizer: Tokenizer, text: string): Uint32Array {
  return tokenizer.encode(text, { addSpecialTokens: false });
}

/** Whether a begin token is put before a text, and an end token behind it. */
function surroundings(tokenizer: Tokenizer): [boolean, boolean] {
  const bare = idsOf(tokenizer, "a").length;
  const begun = tokenizer.encode("a", { addSpecialTokens: "begin" }).length;
  return [begun > bare, tokenizer.encode("a").length > begun];
}
