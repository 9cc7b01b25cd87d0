/** Checks the vocabulary of a tokenizer.json, of which the JavaScript tokenizer takes whatever it is given. */
import { SpielError } from "../errors.ts";
import { isObject } from "../io/random_access.ts";
import type { AddedToken } from "./tokenizer_added.ts";

/** Far more ids than any vocabulary has; a larger one would only take memory. */
const MOST_IDS = 1 << 22;

type Json = Record<string, unknown>;
type Fail = (reason: string) => SpielError;

/**
 * Checks the ids of all tokens and, of a BPE model, that no id stands for two tokens and that merges make tokens.
 *
 * @param model The `model` of a tokenizer.json.
 * @param where Names the file in errors.
 * @throws {SpielError} kind "data" naming the token or merge.
 */
export function checkVocabulary(model: Json, added: readonly AddedToken[], where: string): void {
  const fail = (reason: string) => new SpielError("data", `${where}: ${reason}`);
  added.forEach(({ id }, i) => checkId(id, `added_tokens[${i}]`, fail));
  if (model.type === "BPE") checkBytePairs(model, fail);
}

function checkId(id: unknown, what: string, fail: Fail): asserts id is number {
  if (typeof id === "number" && Number.isInteger(id) && id >= 0 && id < MOST_IDS) return;
  throw fail(
    `the id of ${what} is ${JSON.stringify(id)}; expected a number below ${MOST_IDS}`,
  );
}

function checkBytePairs({ vocab, merges, unk_token: unknown }: Json, fail: Fail): void {
  if (!isObject(vocab)) throw fail(`"vocab" of the BPE model is not an object of tokens and ids`);
  const tokens = new Map<number, string>();
  for (const [token, id] of Object.entries(vocab)) {
    checkId(id, `token ${JSON.stringify(token)}`, fail);
    const other = tokens.get(id);
    if (other !== undefined) {
      throw fail(`the id ${id} is that of ${JSON.stringify(other)} and ${JSON.stringify(token)}`);
    }
    tokens.set(id, token);
  }
  if (typeof unknown === "string" && !Object.hasOwn(vocab, unknown)) {
    throw fail(`unk_token ${JSON.stringify(unknown)} is no token`);
  }
  if (!Array.isArray(merges)) throw fail(`"merges" of the BPE model is not a list`);
  merges.forEach((merge: unknown, i) => {
    const parts = typeof merge === "string" ? merge.split(" ") : merge;
    if (!isPair(parts)) throw fail(`merges[${i}] is ${JSON.stringify(merge)}; expected two tokens`);
    const missing = [...parts, parts.join("")].find((token) => !Object.hasOwn(vocab, token));
    if (missing === undefined) return;
    throw fail(`merges[${i}] ${JSON.stringify(merge)}: ${JSON.stringify(missing)} is no token`);
  });
}

function isPair(parts: unknown): parts is [string, string] {
  return Array.isArray(parts) && parts.length === 2 &&
    parts.every((part) => typeof part === "string");
}
