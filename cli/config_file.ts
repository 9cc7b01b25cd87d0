/** Reads a YAML or JSON configuration file into entries that know their line and column. */

import { type Document, isMap, isScalar, LineCounter, parseDocument } from "npm:yaml@2.9.1";
import { type ConfigEntry, problemsError, SpielError } from "../mod.ts";

function readText(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotCapable) throw cause;
    const reason = cause instanceof Deno.errors.NotFound
      ? "does not exist"
      : `cannot be read (${cause instanceof Error ? cause.message : cause})`;
    throw new SpielError("usage", `Configuration file "${path}" ${reason}`, { cause });
  }
}

/**
 * Reads a configuration file.
 *
 * @returns One entry per key, in the order of the file.
 * @throws {SpielError} `usage`, with line and column, when it is not a mapping of keys to values; `environment` when
 * Deno may not look at the variables that the YAML reader wants.
 */
export function readConfigFile(path: string): ConfigEntry[] {
  const text = readText(path);
  requireVariables(path);
  return parseConfig(text, path);
}

/** What the YAML reader looks at, whatever is asked of it. */
const YAML_VARIABLES = ["LOG_TOKENS", "LOG_STREAM"];

/** Names all that the YAML reader needs at once; without, it fails at the first variable. */
function requireVariables(path: string): void {
  const isGranted = (variable: string) =>
    Deno.permissions.querySync({ name: "env", variable }).state === "granted";
  if (YAML_VARIABLES.every(isGranted)) return;
  throw new SpielError(
    "environment",
    `Reading "${path}" takes --allow-env=${
      YAML_VARIABLES.join(",")
    }, which its YAML reader looks at`,
  );
}

/** Parses a configuration file's text; `path` is for messages only. */
export function parseConfig(text: string, path: string): ConfigEntry[] {
  const lines = new LineCounter();
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  if (document.errors.length > 0) {
    throw problemsError(document.errors.map((error) => {
      const { line, column } = place(error.pos[0]);
      return `${path}:${line}:${column}: ${error.message.split("\n")[0]}`;
    }));
  }
  const root = document.contents;
  if (root === null) return [];
  if (!isMap(root)) {
    const { line, column } = place(root.range?.[0] ?? 0);
    throw new SpielError(
      "usage",
      `${path}:${line}:${column}: expected keys with values such as "lr: 0.001"`,
    );
  }
  const values = valuesOf(document, path);
  return root.items.map(({ key }) => {
    const name = isScalar(key) ? String(key.value) : String(key);
    const offset = isScalar(key) ? key.range?.[0] ?? 0 : 0;
    return { key: name, value: values[name], source: { kind: "file", path, ...place(offset) } };
  });
}

/** Aliases are resolved here, which fails for unknown ones and for those that would grow without bound. */
function valuesOf(document: Document, path: string): Record<string, unknown> {
  try {
    return document.toJS();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SpielError("usage", `${path}: ${reason}`, { cause });
  }
}
