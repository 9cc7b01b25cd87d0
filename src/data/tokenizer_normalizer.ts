/** The normalizers of tokenizer.json, over text that keeps its places. */
import { SpielError } from "../errors.ts";
import { isObject } from "../io/random_access.ts";
import { COMPOSING_RUN, SourceText, spaceAtEnd, spaceAtStart } from "./token_source.ts";
import { CharacterMap } from "./tokenizer_charsmap.ts";

type Json = Record<string, unknown>;

/** Rewrites a text. */
export type Normalize = (source: SourceText) => SourceText;

type Compile = (part: Json, where: string) => Normalize;

const NORMALIZERS: ReadonlyMap<string, Compile> = new Map<string, Compile>([
  ["Sequence", sequence],
  ["Prepend", prepend],
  ["Replace", replace],
  ["Strip", strip],
  ["Precompiled", precompiled],
  ["NFC", () => (source) => unicode(source, "NFC")],
  ["NFD", () => (source) => unicode(source, "NFD")],
  ["NFKC", () => (source) => unicode(source, "NFKC")],
  ["NFKD", () => (source) => unicode(source, "NFKD")],
]);

/**
 * Compiles the `normalizer` of a tokenizer.json; null leaves text as it is.
 *
 * @param where Names the file in errors.
 * @throws {SpielError} kind "data" when a part is not supported.
 */
export function compileNormalizer(part: unknown, where: string): Normalize {
  if (part === null || part === undefined) return (source) => source;
  const type = isObject(part) ? part.type : part;
  const compile = NORMALIZERS.get(String(type));
  if (!isObject(part) || compile === undefined) {
    throw new SpielError(
      "data",
      `${where}: normalizer ${JSON.stringify(type)} is not supported with this vocabulary; ` +
        `supported: ${[...NORMALIZERS.keys()].join(", ")}`,
    );
  }
  return compile(part, where);
}

/**
 * The pattern of a Replace or Split part.
 *
 * @throws {SpielError} kind "data" when there is none that can be followed.
 */
export function compilePattern(pattern: unknown, where: string): RegExp {
  const { String: text, Regex: source } = isObject(pattern) ? pattern : {};
  try {
    if (typeof text === "string" && text !== "") return new RegExp(RegExp.escape(text), "gu");
    if (typeof source === "string" && source !== "") return new RegExp(source, "gu");
  } catch (cause) {
    throw unusable(pattern, where, cause);
  }
  throw unusable(pattern, where);
}

function unusable(pattern: unknown, where: string, cause?: unknown): SpielError {
  return new SpielError("data", `${where}: unusable pattern ${JSON.stringify(pattern)}`, { cause });
}

function sequence(part: Json, where: string): Normalize {
  if (!Array.isArray(part.normalizers)) {
    throw new SpielError("data", `${where}: "normalizers" of a Sequence is not a list`);
  }
  const steps = part.normalizers.map((step) => compileNormalizer(step, where));
  return (source) => steps.reduce((text, step) => step(text), source);
}

function prepend({ prepend }: Json, where: string): Normalize {
  if (typeof prepend !== "string") {
    throw new SpielError("data", `${where}: "prepend" of a Prepend is not a string`);
  }
  return (source) =>
    source.text === "" ? source : source.replace([{ from: 0, to: 0, by: prepend }]);
}

function replace({ pattern, content }: Json, where: string): Normalize {
  const expression = compilePattern(pattern, where);
  if (typeof content !== "string") {
    throw new SpielError("data", `${where}: "content" of a Replace is not a string`);
  }
  return (source) => {
    const matches = [...source.text.matchAll(expression)];
    if (matches.length === 0) return source;
    return source.replace(
      matches.map(({ 0: text, index }) => ({ from: index, to: index + text.length, by: content })),
    );
  };
}

function strip({ strip_left: left, strip_right: right }: Json): Normalize {
  return (source) => {
    const { text } = source;
    const to = right === false ? text.length : text.length - spaceAtEnd(text);
    const from = left === false ? 0 : Math.min(to, spaceAtStart(text));
    return source.slice(from, to);
  };
}

function precompiled({ precompiled_charsmap: encoded }: Json, where: string): Normalize {
  if (encoded === null || encoded === undefined || encoded === "") return (source) => source;
  const map = new CharacterMap(base64(encoded, where), where);
  return (source) => {
    const bytes = new TextEncoder().encode(source.text);
    const changes: { from: number; to: number; by: string }[] = [];
    let unit = 0;
    for (let at = 0; at < bytes.length;) {
      const rule = map.find(bytes, at);
      const length = rule?.length ?? sequenceLength(bytes[at]!);
      const from = unit;
      for (const end = at + length; at < end;) {
        const taken = sequenceLength(bytes[at]!);
        unit += taken === 4 ? 2 : 1;
        at += taken;
      }
      if (rule !== undefined) changes.push({ from, to: unit, by: rule.by });
    }
    return changes.length === 0 ? source : source.replace(changes);
  };
}

/** Bytes of the UTF-8 sequence that a byte begins. */
function sequenceLength(lead: number): number {
  return lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

function base64(encoded: unknown, where: string): Uint8Array {
  try {
    return Uint8Array.from(atob(String(encoded)), (character) => character.charCodeAt(0));
  } catch (cause) {
    throw new SpielError("data", `${where}: precompiled_charsmap is not base64`, { cause });
  }
}

function unicode(source: SourceText, form: "NFC" | "NFD" | "NFKC" | "NFKD"): SourceText {
  const { text } = source;
  if (text.normalize(form) === text) return source;
  const changes = [];
  for (const { 0: run, index } of text.matchAll(COMPOSING_RUN)) {
    const by = run.normalize(form);
    if (by !== run) changes.push({ from: index, to: index + run.length, by });
  }
  return source.replace(changes);
}
