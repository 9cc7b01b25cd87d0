/** An example in words that show what of it is trained. */
import type { TokenizedExample } from "../../src/data/example.ts";
import type { Tokenizer } from "../../src/data/tokenizer.ts";

/** The text of an example with its trained tokens in brackets. */
export function shownExample(
  { ids, trained }: Pick<TokenizedExample, "ids" | "trained">,
  tokenizer: Pick<Tokenizer, "decode">,
): string {
  let text = "";
  for (let i = 0; i < ids.length; i++) {
    if (trained[i] !== (trained[i - 1] ?? 0)) text += trained[i] === 1 ? "[" : "]";
    text += tokenizer.decode([ids[i]!]);
  }
  return trained.at(-1) === 1 ? `${text}]` : text;
}
