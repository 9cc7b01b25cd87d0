/** What the YAML reader complains of, in words for those who write configuration files. */

import type { YAMLParseError } from "npm:yaml@2.9.1";

type Code = YAMLParseError["code"];

const ENTRY = 'expected a key with a value such as "lr: 0.001", with a space after the colon';

/** Sentences by the reader's code; `found` is the text from where it stopped to the end of the line. */
const SENTENCES: Partial<Record<Code, (found: string, complaint: string) => string>> = {
  BAD_DQ_ESCAPE: () => "a backslash in double quotes begins no known escape; write it twice",
  BAD_INDENT: (_, complaint) =>
    complaint.startsWith("Flow")
      ? "a bracket that was opened before is not closed"
      : "the line is indented otherwise than its neighbours",
  BAD_SCALAR_START: (found) => `a value cannot begin with ${found[0]}; put it in quotes`,
  BLOCK_AS_IMPLICIT_KEY: () =>
    "a second key or list inside a value; put the value in quotes, or mend the indentation",
  BLOCK_IN_FLOW: () => "a comma or a closing bracket is missing",
  DUPLICATE_KEY: (found) => `${/^["']?([^"':,}]*)/.exec(found)?.[1]?.trim()} is given twice`,
  MISSING_CHAR: (_, complaint) => {
    const quote = /closing (["'])quote/.exec(complaint)?.[1];
    if (quote !== undefined) return `a ${quote} that was opened before is not closed`;
    return /must end/.test(complaint) ? "a bracket that was opened before is not closed" : ENTRY;
  },
  MULTILINE_IMPLICIT_KEY: () => ENTRY,
  MULTIPLE_DOCS: () => "a second document begins here; expected one",
  TAB_AS_INDENT: () => "a tab indents the line; expected spaces",
  UNEXPECTED_TOKEN: (found) => `"${found.slice(0, 40).trim()}" is not expected here`,
};

/** What is wrong at a place. */
export interface YamlProblem {
  offset: number;
  sentence: string;
}

/** Every repeated key, and the first of the other problems: those after it are mostly its consequences. */
export function yamlProblems(text: string, errors: readonly YAMLParseError[]): YamlProblem[] {
  const others = errors.filter(({ code }) => code !== "DUPLICATE_KEY");
  const beside = others.filter(({ pos }) => pos[0] === others[0]?.pos[0]);
  // Said of nearly everything that is no entry, beside what is meant.
  const first = beside.find(({ code }) => code !== "MULTILINE_IMPLICIT_KEY") ?? beside[0];
  return errors.filter((error) => error.code === "DUPLICATE_KEY" || error === first)
    .map(({ code, pos: [offset], message }) => {
      const [found = ""] = text.slice(offset).split("\n");
      return { offset, sentence: SENTENCES[code]?.(found, message) ?? "this is not YAML" };
    });
}
