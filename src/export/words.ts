/** What a model's tokenizer and chat template make of a few texts, to be compared with those of another. */

import { ChatTemplate, type Message } from "../data/chat_template.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import { isSpielError } from "../errors.ts";
import type { ModelSource } from "../model/source.ts";
import { tokenizerIfAny } from "../model/tokenizer.ts";

/** Each line is cut in another way by some tokenizer. */
const PROBE = [
  "The quick brown fox can't jump over 13 lazy dogs; it's 1234567.89 km away!",
  "  indented\twith\ttabs and   spaces   12  34 \r\n\n\n",
  "def add(a, b):\n    return a + b  # CamelCase snake_case HTTPServer\n",
  "naïve café cafe\u0301 Ελληνικά мир العربية עברית हिन्दी ไทย 한국어 東京と京都",
  "🙂 👩\u200d👩\u200d👧 ½ ² ① ﬁ ｆｕｌｌ\u00a0\u3000\u200b\ufeff end \u0663\u0664",
  '<tag> [INST] {json: "x"} \\n $100 50% a@b.co https://example.org/?q=1#2 ...',
].join("\n");

const CONVERSATION: readonly Message[] = [
  { role: "user", content: "What is 12 + 30?  Show it in Python, please." },
  { role: "assistant", content: "It is 42:\n\n```python\nprint(12 + 30)\n```" },
  { role: "user", content: "Merci! Et combien font 7 × 8 à 東京 🙂?" },
];

const SYSTEM: Message = { role: "system", content: "You are a careful teacher." };

/** What is made of the texts. */
export interface Words {
  /** The conversation with the prompt for an answer, and with a system's message; null where the template refuses. */
  readonly rendered: readonly (string | null)[];
  /** Ids of the conversation, or of a plain text where there is no template. */
  readonly conversation: Uint32Array;
  /** Ids of the other texts. */
  readonly others: readonly Uint32Array[];
  /** Ids that end a generation, in rising order. */
  readonly stops: readonly number[];
  /** Those that the model's files name as such: other programs do not look for an end in the chat template. */
  readonly declaredStops: readonly number[];
}

/** Asks a model's tokenizer; null where it has none. */
export function wordsOf(source: ModelSource): Words | null {
  const known = tokenizerIfAny(source);
  if (known === null) return null;
  const { tokenizer, stopTokens } = known;
  const encode = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });
  const rendered = renderings(tokenizer);
  const told = rendered.map((text) => text === null ? new Uint32Array() : encode(text));
  const begun = tokenizer.encode(PROBE);
  return {
    rendered,
    conversation: told[0]?.length ? told[0] : begun,
    others: [...told.slice(1), begun],
    stops: [...stopTokens].sort((a, b) => a - b),
    declaredStops: source.specialTokens.eos,
  };
}

function renderings(tokenizer: Tokenizer): (string | null)[] {
  if (tokenizer.chatTemplate === null) return [];
  const template = new ChatTemplate(tokenizer.chatTemplate, tokenizer);
  return [CONVERSATION, [SYSTEM, ...CONVERSATION]].map((messages) => {
    try {
      return template.render(messages, { addGenerationPrompt: true });
    } catch (error) {
      // Some templates know no system's message, or want other conversations.
      if (isSpielError(error)) return null;
      throw error;
    }
  });
}

/** What of the second, a saved model, is not as of the first, in words; null where all is. */
export function alikeInWords(first: Words, second: Words): string | null {
  const text = firstDifference(first.rendered, second.rendered);
  if (text !== null) {
    const [before, after] = [first, second].map(({ rendered }) =>
      JSON.stringify(rendered[text] ?? null)
    );
    return `its chat template renders ${after} where the model's renders ${before}`;
  }
  const after = [second.conversation, ...second.others];
  for (const [index, ids] of [first.conversation, ...first.others].entries()) {
    const others = after[index] ?? new Uint32Array();
    const place = firstDifference(ids, others);
    if (place === null) continue;
    return `token ${place} of ${others.length} is ${others[place] ?? "none"} where the model has ` +
      `${ids[place] ?? "none"}, of ${ids.length}`;
  }
  const untold = first.stops.filter((id) => !second.declaredStops.includes(id));
  if (first.stops.join() === second.stops.join() && untold.length === 0) return null;
  const told = untold.length === 0 ? second.stops : second.declaredStops;
  return `its answers end at the tokens ${told.join(", ") || "none"}, ` +
    `the model's at ${first.stops.join(", ") || "none"}`;
}

/** Tokens of all texts. */
export function tokensOf({ conversation, others }: Words): number {
  return others.reduce((sum, { length }) => sum + length, conversation.length);
}

function firstDifference<T>(first: ArrayLike<T>, second: ArrayLike<T>): number | null {
  for (let i = 0; i < Math.max(first.length, second.length); i++) {
    if (first[i] !== second[i]) return i;
  }
  return null;
}
