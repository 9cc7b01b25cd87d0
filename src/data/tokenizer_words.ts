/** The pre-tokenizers of tokenizer.json that cut text into words, over text that keeps its places. */
import { SpielError } from "../errors.ts";
import { isObject } from "../io/random_access.ts";
import type { SourceText } from "./token_source.ts";
import { compilePattern } from "./tokenizer_normalizer.ts";

type Json = Record<string, unknown>;

/** Cuts a text into words; tokens never reach over their borders. */
export type CutWords = (source: SourceText) => SourceText[];

type Compile = (part: Json, where: string) => CutWords;

const PRE_TOKENIZERS: ReadonlyMap<string, Compile> = new Map<string, Compile>([
  ["Sequence", sequence],
  ["Metaspace", metaspace],
  ["Split", split],
  ["WhitespaceSplit", () => (source) => cut(source, /\s+/gu, "Removed")],
  ["Digits", ({ individual_digits: each }) => {
    const pattern = each ? /\p{N}/gu : /\p{N}+/gu;
    return (source) => cut(source, pattern, "Isolated");
  }],
]);

/** What a Split does with what its pattern matches. */
const BEHAVIORS = ["Isolated", "Removed", "MergedWithPrevious", "MergedWithNext"] as const;
type Behavior = (typeof BEHAVIORS)[number];

/**
 * Compiles the `pre_tokenizer` of a tokenizer.json; null makes the whole text one word.
 *
 * @param where Names the file in errors.
 * @throws {SpielError} kind "data" when a part is not supported.
 */
export function compileWords(part: unknown, where: string): CutWords {
  if (part === null || part === undefined) return (source) => [source];
  const type = isObject(part) ? part.type : part;
  const compile = PRE_TOKENIZERS.get(String(type));
  if (!isObject(part) || compile === undefined) {
    throw unsupported(where, `pre_tokenizer ${JSON.stringify(type)}`, [...PRE_TOKENIZERS.keys()]);
  }
  return compile(part, where);
}

function unsupported(where: string, what: string, supported: readonly string[]): SpielError {
  return new SpielError(
    "data",
    `${where}: ${what} is not supported with this vocabulary; supported: ${supported.join(", ")}`,
  );
}

function sequence(part: Json, where: string): CutWords {
  if (!Array.isArray(part.pretokenizers)) {
    throw new SpielError("data", `${where}: "pretokenizers" of a Sequence is not a list`);
  }
  const steps = part.pretokenizers.map((step) => compileWords(step, where));
  return (source) => steps.reduce((words, step) => words.flatMap(step), [source]);
}

/** Spaces become U+2581, one may be put in front, and each begins a word unless `split` is false. */
function metaspace(part: Json, where: string): CutWords {
  const { replacement = "\u2581", split = true } = part;
  if (typeof replacement !== "string" || replacement === "") {
    throw new SpielError("data", `${where}: "replacement" of a Metaspace is not a string`);
  }
  const scheme = part.prepend_scheme ?? (part.add_prefix_space === false ? "never" : "always");
  if (scheme !== "always" && scheme !== "first" && scheme !== "never") {
    throw unsupported(where, `prepend_scheme ${JSON.stringify(scheme)}`, [
      "always",
      "first",
      "never",
    ]);
  }
  const borders = compilePattern({ String: replacement }, where);
  return (source) => {
    const changes = [...source.text.matchAll(/ /g)]
      .map(({ index }) => ({ from: index, to: index + 1, by: replacement }));
    const begins = source.text.startsWith(" ") || source.text.startsWith(replacement);
    if (!begins && (scheme === "always" || (scheme === "first" && source.starts[0] === 0))) {
      changes.unshift({ from: 0, to: 0, by: replacement });
    }
    const spelled = changes.length === 0 ? source : source.replace(changes);
    return split === false ? [spelled] : cut(spelled, borders, "MergedWithNext");
  };
}

function split({ pattern, behavior, invert }: Json, where: string): CutWords {
  const expression = compilePattern(pattern, where);
  const known = BEHAVIORS.find((name) => name === behavior);
  if (known === undefined || invert === true) {
    const what = `a Split with behavior ${JSON.stringify(behavior)}${invert ? " inverted" : ""}`;
    throw unsupported(where, what, BEHAVIORS);
  }
  return (source) => cut(source, expression, known);
}

function cut(source: SourceText, pattern: RegExp, behavior: Behavior): SourceText[] {
  const words: SourceText[] = [];
  let at = 0;
  const take = (to: number) => {
    if (to > at) words.push(source.slice(at, to));
    at = to;
  };
  for (const { 0: match, index } of source.text.matchAll(pattern)) {
    const end = index + match.length;
    if (behavior !== "MergedWithPrevious") take(index);
    if (behavior === "Removed") at = end;
    else if (behavior !== "MergedWithNext") take(end);
  }
  take(source.text.length);
  return words;
}
