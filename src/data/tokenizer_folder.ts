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

const MAX_TOKENIZER_BYTES = 256 * 1024 * 1024;

/** Reads tokenizer.json and, where present, tokenizer_config.json and chat_template.jinja. */
export function readFolderTokenizer(folder: string): TokenizerParts {
  const where = `${folder}/tokenizer.json`;
  if (!isFile(where)) {
    const mistaken = mistakenForModel(folder);
    if (mistaken !== undefined) throw new SpielError("data", `Model "${folder}" ${mistaken}`);
    const sentencePiece = isFile(`${folder}/tokenizer.model`)
      ? "; its tokenizer.model must be converted to tokenizer.json first"
      : "";
    throw new SpielError("data", `${folder} has no tokenizer.json${sentencePiece}`);
  }
  const { chat_template: inlineTemplate, ...config } = optionalJson(
    `${folder}/tokenizer_config.json`,
  );
  const map = optionalJson(`${folder}/special_tokens_map.json`);
  const templatePath = `${folder}/chat_template.jinja`;
  return {
    where,
    json: readJsonObject(where, MAX_TOKENIZER_BYTES),
    config,
    bosToken: tokenText(config.bos_token) ?? tokenText(map.bos_token),
    eosToken: tokenText(config.eos_token) ?? tokenText(map.eos_token),
    eosTokenIds: readSpecialTokenIds(folder).eos,
    chatTemplate: isFile(templatePath)
      ? readTextFile(templatePath, MAX_CONFIG_BYTES)
      : templateText(inlineTemplate),
  };
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
