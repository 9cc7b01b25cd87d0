/** Reads the text of a YAML configuration file into entries that know their line and column. */

import {
  type Document,
  isMap,
  isScalar,
  LineCounter,
  type Node,
  parseDocument,
  visit,
} from "npm:yaml@2.9.1";
import { type ConfigEntry, problemsError, SpielError } from "../mod.ts";
import { yamlProblems } from "./yaml_problem.ts";

/**
 * Parses a YAML configuration file's text.
 *
 * @param path For messages only.
 * @returns One entry per key, in the order of the file.
 * @throws {SpielError} `usage`, with line and column, when it is not a mapping of keys to values.
 */
export function parseYamlConfig(text: string, path: string): ConfigEntry[] {
  const lines = new LineCounter();
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  const problem = (offset: number, sentence: string) => {
    const { line, column } = place(offset);
    return `${path}:${line}:${column}: ${sentence}`;
  };
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  if (document.errors.length > 0) {
    const problems = yamlProblems(text, document.errors);
    throw problemsError(problems.map(({ offset, sentence }) => problem(offset, sentence)));
  }
  const root = document.contents;
  if (root === null) return [];
  const refuse = (node: Node | null, sentence: string) =>
    new SpielError("usage", problem(node?.range?.[0] ?? 0, sentence));
  if (!isMap<Node, Node>(root)) {
    throw refuse(root, 'expected keys with values such as "lr: 0.001"');
  }
  const strange = root.items.find(({ key }) => !isScalar(key));
  if (strange !== undefined) throw refuse(strange.key, "expected a key such as lr");
  visit(document, {
    Alias(_, alias) {
      if (alias.resolve(document) !== undefined) return;
      const { source } = alias;
      throw refuse(
        alias,
        `*${source} stands for nothing named before; put it in quotes if it is text`,
      );
    },
  });
  const values = valuesOf(document, path);
  return root.items.map(({ key }) => {
    const name = String(isScalar(key) ? key.value : key);
    const offset = key.range?.[0] ?? 0;
    return { key: name, value: values[name], source: { kind: "file", path, ...place(offset) } };
  });
}

/** Aliases are resolved here, which fails for those that would grow without bound. */
function valuesOf(document: Document, path: string): Record<string, unknown> {
  try {
    return document.toJS();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SpielError("usage", `${path}: ${reason}`, { cause });
  }
}
