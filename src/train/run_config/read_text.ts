/** Turns the text of flags, of `--set` and of lists in one line into values; what cannot be turned stays text, to be refused by the schema. */

import type { ConfigKeyHelp } from "./describe.ts";

function splitList(text: string): string[] {
  return text.split(",").map((item) => item.trim()).filter((item) => item !== "");
}

/** A list as in a YAML file, `[q_proj, "v_proj"]`; undefined where the text has no brackets. */
function bracketedList(text: string): string[] | undefined {
  const inner = /^\s*\[(.*)\]\s*$/s.exec(text)?.[1];
  return inner === undefined
    ? undefined
    : splitList(inner).map((item) => item.replace(/^(["'])(.*)\1$/, "$2"));
}

function readMap(text: string): unknown {
  const pairs = splitList(text).map((pair) => {
    const equals = pair.indexOf("=");
    return [pair.slice(0, Math.max(0, equals)).trim(), pair.slice(equals + 1).trim()] as const;
  });
  const isWhole = pairs.every(([field, name]) => field !== "" && name !== "") &&
    new Set(pairs.map(([field]) => field)).size === pairs.length;
  return isWhole ? Object.fromEntries(pairs) : text;
}

/** The value that a text stands for, given its key. */
export function readText(text: string, help: ConfigKeyHelp): unknown {
  switch (help.kind) {
    case "number":
      return text.trim() === "" || !Number.isFinite(Number(text)) ? text : Number(text);
    case "boolean":
      return text === "true" ? true : text === "false" ? false : text;
    case "list":
      return bracketedList(text) ?? (help.repeatable ? [text] : splitList(text));
    case "map":
      return readMap(text);
    case "text":
    case "bytes":
      return text;
  }
}
