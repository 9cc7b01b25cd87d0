/** The Modelfile by which Ollama makes a model of a GGUF file. */

import type { ModelTokenizer } from "../model/tokenizer.ts";
import { ollamaTemplate } from "./ollama_template.ts";

/**
 * The text of a Modelfile. Ollama knows some chat templates by those of GGUF files; it is told the template wherever it
 * can be said in Ollama's words, and what ends an answer, because many models name only the end of a text.
 *
 * @param file Name of the GGUF file in the same folder.
 */
export function modelfile(file: string, { tokenizer, stopTokens }: ModelTokenizer): string {
  const stops = stopTokens.map((id) => tokenizer.decode([id])).filter((text) => text !== "");
  const template = ollamaTemplate(tokenizer);
  return [
    `FROM ./${file}`,
    ...(template === null ? [] : [`TEMPLATE """${template}"""`]),
    ...stops.map((text) => `PARAMETER stop ${quoted(text)}`),
    "",
  ].join("\n");
}

/** Ollama takes what is between quotes as it is, with line ends and without escapes. */
function quoted(text: string): string {
  const quote = text.includes('"') ? '"""' : '"';
  return quote + text + quote;
}
