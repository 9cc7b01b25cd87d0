/** The Modelfile by which Ollama makes a model of a GGUF file. */

import type { ModelTokenizer } from "../model/tokenizer.ts";

/**
 * The text of a Modelfile. Ollama takes the chat template from the GGUF file's metadata; what ends an answer it has to be
 * told, because many models name only the end of a text.
 *
 * @param file Name of the GGUF file in the same folder.
 */
export function modelfile(file: string, { tokenizer, stopTokens }: ModelTokenizer): string {
  const stops = stopTokens.map((id) => tokenizer.decode([id])).filter((text) => text !== "");
  return [`FROM ./${file}`, ...stops.map((text) => `PARAMETER stop ${JSON.stringify(text)}`), ""]
    .join("\n");
}
