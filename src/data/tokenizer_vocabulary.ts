/** Reads the vocabulary of a tokenizer.json, of which the JavaScript tokenizer takes whatever it is given. */
import { SpielError } from "../errors.ts";
import { isObject } from "../io/random_access.ts";
import type { AddedToken } from "./tokenizer_added.ts";
import { BytePairs } from "./tokenizer_merges.ts";

/** Far more ids than any vocabulary has; a larger one would only take memory. */
const MOST_IDS = 1 << 22;

/** A vocabulary by lists, as GGUF files have it. Plain data. */
export interface BytePairLists {
  /** By id. */
  tokens: readonly string[];
  /** Two tokens each with a space between them, first those that are joined first. */
  merges: readonly string[];
}

type Json = Record<string, unknown>;
type Fail = (reason: string) => SpielError;

/**
 * Checks the ids of added tokens.
 *
 * @param where Names the file in errors.
 * @throws {SpielError} kind "data" naming the token.
 */
export function checkAddedIds(added: readonly AddedToken[], where: string): void {
  added.forEach(({ id }, i) => checkId(id, () => `added_tokens[${i}]`, failIn(where)));
}

/**
 * Reads a BPE model; no id stands for two tokens, and merges make tokens.
 *
 * @param model The `model` of a tokenizer.json.
 * @param where Names the file in errors.
 * @throws {SpielError} kind "data" naming the token or merge.
 */
export function readBytePairs(
  { vocab, merges, unk_token: unknown }: Json,
  where: string,
): BytePairs {
  const fail = failIn(where);
  if (!isObject(vocab)) throw fail(`"vocab" of the BPE model is not an object of tokens and ids`);
  const ids = new Map<string, number>();
  const tokens: string[] = [];
  for (const token of Object.keys(vocab)) {
    const id = vocab[token];
    checkId(id, () => `token ${JSON.stringify(token)}`, fail);
    const other = tokens[id];
    if (other !== undefined) {
      throw fail(`the id ${id} is that of ${JSON.stringify(other)} and ${JSON.stringify(token)}`);
    }
    ids.set(token, id);
    tokens[id] = token;
  }
  if (typeof unknown === "string" && !ids.has(unknown)) {
    throw fail(`unk_token ${JSON.stringify(unknown)} is no token`);
  }
  if (!Array.isArray(merges)) throw fail(`"merges" of the BPE model is not a list`);
  const split = (merge: unknown, rank: number) => {
    const parts = typeof merge === "string" ? merge.split(" ") : merge;
    if (isPair(parts)) return parts;
    throw fail(`merges[${rank}] is ${JSON.stringify(merge)}; expected two tokens`);
  };
  return withMerges({ ids, tokens }, merges, split, fail);
}

/**
 * Reads the same of lists; no token occurs twice, and merges make tokens.
 *
 * @param where Names the file in errors.
 * @throws {SpielError} kind "data" naming the token or merge.
 */
export function readBytePairLists({ tokens, merges }: BytePairLists, where: string): BytePairs {
  const fail = failIn(where);
  const ids = new Map<string, number>();
  tokens.forEach((token, id) => ids.set(token, id));
  if (ids.size < tokens.length) {
    const again = tokens.find((token, id) => ids.get(token) !== id);
    throw fail(`token ${JSON.stringify(again)} occurs twice`);
  }
  const split = (merge: string) => {
    const parts = mergedParts(merge);
    if (parts !== null) return parts;
    throw fail(`merge ${JSON.stringify(merge)} is not two parts`);
  };
  return withMerges({ ids, tokens }, merges, split, fail);
}

/** The two parts of a merge in one string; null where there are not two. */
export function mergedParts(merge: string): [left: string, right: string] | null {
  // The first part may itself begin with a space, never the second.
  const at = merge.indexOf(" ", 1);
  return at < 0 ? null : [merge.slice(0, at), merge.slice(at + 1)];
}

function withMerges<Merge>(
  { ids, tokens }: Pick<BytePairs, "ids" | "tokens">,
  merges: readonly Merge[],
  split: (merge: Merge, rank: number) => readonly [left: string, right: string],
  fail: Fail,
): BytePairs {
  const pairs = new BytePairs(ids, tokens, merges.length);
  let last = -1;
  merges.forEach((merge, rank) => {
    const parts = split(merge, rank);
    const [left, right] = [ids.get(parts[0]), ids.get(parts[1])];
    // Most vocabularies have the tokens that merges make in the merges' order.
    const made = isJoined(tokens[last + 1], parts) ? last + 1 : ids.get(parts[0] + parts[1]);
    if (left === undefined || right === undefined || made === undefined) {
      const missing = [...parts, parts.join("")].find((token) => !ids.has(token));
      throw fail(
        `merges[${rank}] ${JSON.stringify(parts)}: ${JSON.stringify(missing)} is no token`,
      );
    }
    pairs.addMerge(rank, left, right, made);
    last = made;
  });
  return pairs;
}

function failIn(where: string): Fail {
  return (reason) => new SpielError("data", `${where}: ${reason}`);
}

function checkId(id: unknown, what: () => string, fail: Fail): asserts id is number {
  if (typeof id === "number" && Number.isInteger(id) && id >= 0 && id < MOST_IDS) return;
  throw fail(
    `the id of ${what()} is ${JSON.stringify(id)}; expected a number below ${MOST_IDS}`,
  );
}

/** Whether a token is two others joined, which is seen faster than it is looked up. */
function isJoined(token: string | undefined, [left, right]: readonly [string, string]): boolean {
  return token?.length === left.length + right.length && token.startsWith(left) &&
    token.endsWith(right);
}

function isPair(parts: unknown): parts is [string, string] {
  return Array.isArray(parts) && parts.length === 2 &&
    parts.every((part) => typeof part === "string");
}
