/** Ids of the tokens that begin and end a text, wherever a model states them. */
import { SpielError } from "../errors.ts";
import type { GgufFile } from "../io/gguf.ts";
import { isFile, readJsonObject } from "../io/random_access.ts";

/** Begin and end tokens. */
export interface SpecialTokenIds {
  /** The token that begins a text; null when the model names none. */
  bos: number | null;
  /** Every token that ends a generation; empty when the model names none. */
  eos: number[];
}

/** Reads them from generation_config.json and config.json of a folder; the former has the last word. */
export function readSpecialTokenIds(folder: string): SpecialTokenIds {
  let bos: number | null = null;
  let eos: number[] = [];
  for (const name of ["config.json", "generation_config.json"]) {
    const path = `${folder}/${name}`;
    if (!isFile(path)) continue;
    const config = readJsonObject(path);
    bos = ids(config.bos_token_id, `${path}: bos_token_id`)[0] ?? bos;
    const ends = ids(config.eos_token_id, `${path}: eos_token_id`);
    if (ends.length > 0) eos = ends;
  }
  return { bos, eos };
}

function ids(value: unknown, where: string): number[] {
  const list = value === undefined || value === null ? [] : Array.isArray(value) ? value : [value];
  for (const id of list) {
    if (!Number.isInteger(id) || id < 0) {
      throw new SpielError("data", `${where} is ${JSON.stringify(value)}; expected token ids`);
    }
  }
  return list;
}

/**
 * Reads them from GGUF metadata, which has separate keys for the ends of a text, a turn and a message.
 *
 * @param tokens Number of tokens that there are, where it is known.
 */
export function ggufSpecialTokenIds(file: GgufFile, tokens = Infinity): SpecialTokenIds {
  const ends = ["eos", "eot", "eom"].map((name) => ggufTokenId(file, name, tokens));
  const eos = ends.filter((id) => id !== undefined && id !== null);
  return { bos: ggufTokenId(file, "bos", tokens) ?? null, eos: [...new Set(eos)] };
}

/** What converters write where there is no such token, as signed and as unsigned number. */
const NO_TOKEN: readonly number[] = [-1, 2 ** 32 - 1];

/**
 * The id of a token that GGUF metadata name, such as "unknown"; null where they say that there is none, undefined where
 * they say nothing.
 *
 * @throws {SpielError} kind "data" when it is no token's id.
 */
export function ggufTokenId(
  file: GgufFile,
  name: string,
  tokens: number,
): number | null | undefined {
  const key = `tokenizer.ggml.${name}_token_id`;
  const value = file.number(key);
  if (value === undefined) return undefined;
  if (NO_TOKEN.includes(value)) return null;
  if (Number.isInteger(value) && value >= 0 && value < tokens) return value;
  throw file.fail(`${key} is ${value}; expected an id below ${tokens}`);
}
