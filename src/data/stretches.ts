/** An example as people see it: its text, with what of it is trained set off. */
import type { TokenizedExample } from "./example.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** A stretch of text that is trained on, or not. */
export interface Stretch {
  /** The text. */
  readonly text: string;
  /** Whether the model is to learn to write it. */
  readonly trained: boolean;
}

/** Cuts an example into stretches of the same kind and decodes each. */
export function stretchesOf(
  { ids, trained }: Pick<TokenizedExample, "ids" | "trained">,
  tokenizer: Pick<Tokenizer, "decode">,
): Stretch[] {
  const stretches: Stretch[] = [];
  for (let start = 0; start < ids.length;) {
    const kind = trained[start];
    let end = start + 1;
    while (end < ids.length && trained[end] === kind) end++;
    stretches.push({ text: tokenizer.decode(ids.subarray(start, end)), trained: kind === 1 });
    start = end;
  }
  return stretches;
}
