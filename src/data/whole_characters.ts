/** Text that is made of whole characters: JSON can spell halves of them, which no file and no token can have. */
import { RecordError } from "../io/record_error.ts";
import type { Sample } from "./formats/mod.ts";

/**
 * Refuses a text with one half of a surrogate pair.
 *
 * @param where File and line of the example.
 * @throws {RecordError}
 */
export function refuseHalves(text: string, where: string): void {
  if (text.isWellFormed()) return;
  throw new RecordError(where, "its text has one half of a surrogate pair, which is no character");
}

/** The texts of an example that every template prints. */
export function textsOf(sample: Sample): string[] {
  switch (sample.kind) {
    case "text":
      return [sample.text];
    case "completion":
      return [sample.system ?? "", sample.prompt, sample.completion];
    case "conversation":
      return sample.messages.map(({ content }) => content ?? "");
  }
}
