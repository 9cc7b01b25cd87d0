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
  const id = (name: string) => {
    const key = `tokenizer.ggml.${name}_token_id`;
    const value = file.number(key);
    if (value === undefined || value < tokens) return value;
    throw file.fail(`${key} is ${value}; expected an id below ${tokens}`);
  };
  const eos = [id("eos"), id("eot"), id("eom")].filter((value) => value !== undefined);
  return { bos: id("bos") ?? null, eos: [...new Set(eos)] };
}
