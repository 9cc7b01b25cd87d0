/** Finds the added tokens of a tokenizer.json in a text: strings that are one token wherever they stand. */
import { SpielError } from "../errors.ts";
import { isObject } from "../io/random_access.ts";
import { spaceAtEnd, spaceAtStart } from "./token_source.ts";

/** An entry of `added_tokens`. */
export interface AddedToken {
  id: number;
  content: string;
  /** Whether it is left out of text for people. */
  special: boolean;
  /** Whether it is sought in the normalised text. */
  normalized: boolean;
  /** Whether it takes the white space before it. */
  lstrip: boolean;
  /** Whether it takes the white space after it. */
  rstrip: boolean;
  /** Whether it may not touch letters or digits. */
  singleWord: boolean;
}

/** Where an added token stands. */
export interface FoundToken {
  token: AddedToken;
  /** What its content takes of the text. */
  start: number;
  end: number;
  /** The same with the white space that it takes. */
  from: number;
  to: number;
}

const WORD = /[\p{L}\p{N}\p{M}_]/u;

/**
 * Reads `added_tokens`.
 *
 * @param where Names the file in errors.
 * @throws {SpielError} kind "data" naming the entry.
 */
export function readAddedTokens(list: unknown, where: string): AddedToken[] {
  const entries = list ?? [];
  if (!Array.isArray(entries)) {
    throw new SpielError("data", `${where}: "added_tokens" is not a list`);
  }
  return entries.map((entry, i) => {
    const { id, content } = isObject(entry) ? entry : {};
    if (typeof id !== "number" || !Number.isInteger(id) || typeof content !== "string") {
      throw new SpielError("data", `${where}: added_tokens[${i}] has no id and content`);
    }
    const special = entry.special === true;
    return {
      id,
      content,
      special,
      normalized: entry.normalized === undefined ? !special : entry.normalized === true,
      lstrip: entry.lstrip === true,
      rstrip: entry.rstrip === true,
      singleWord: entry.single_word === true,
    };
  });
}

/** A function that finds these tokens in a text, in order; where several begin, the longest. */
export function addedTokenFinder(
  tokens: readonly { token: AddedToken; spelling: string }[],
): (text: string) => FoundToken[] {
  const byFirst = new Map<string, { token: AddedToken; spelling: string }[]>();
  for (const entry of tokens) {
    if (entry.spelling === "") continue;
    const first = entry.spelling[0]!;
    const list = byFirst.get(first);
    if (list === undefined) byFirst.set(first, [entry]);
    else list.push(entry);
  }
  for (const list of byFirst.values()) {
    list.sort((a, b) => b.spelling.length - a.spelling.length);
  }
  return (text) => {
    const found: FoundToken[] = [];
    let taken = 0;
    for (let start = 0; start < text.length;) {
      const entry = byFirst.get(text[start]!)
        ?.find(({ spelling }) => text.startsWith(spelling, start));
      const end = start + (entry?.spelling.length ?? 1);
      if (entry !== undefined && !(entry.token.singleWord && touchesWord(text, start, end))) {
        const { token } = entry;
        const before = text.slice(taken, start);
        const from = token.lstrip ? start - spaceAtEnd(before) : start;
        const to = token.rstrip ? end + spaceAtStart(text.slice(end)) : end;
        found.push({ token, start, end, from, to });
        taken = to;
        start = to;
      } else {
        start = end;
      }
    }
    return found;
  };
}

function touchesWord(text: string, start: number, end: number): boolean {
  const before = [...text.slice(Math.max(0, start - 2), start)].at(-1) ?? "";
  const after = [...text.slice(end, end + 2)][0] ?? "";
  return WORD.test(before) || WORD.test(after);
}
