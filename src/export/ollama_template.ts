/** Derives an Ollama template, in the language of Go, from what a chat template makes of a few conversations. */

import { ChatTemplate, type Message } from "../data/chat_template.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import { isSpielError } from "../errors.ts";

/** Contents that no template has by itself; the first letters differ so that none begins as another ends. */
const [SYSTEM, FIRST, ANSWER, SECOND] = ["Xs1X", "Yu1Y", "Za1Z", "Wu2W"] as const;

const message = (role: string, content: string): Message => ({ role, content });
const TURNS = [
  message("user", FIRST),
  message("assistant", ANSWER),
  message("user", SECOND),
];

/** What stands around the contents of a conversation. */
interface Parts {
  /** Before the first message where no system's message is given, and around one. */
  readonly begin: string;
  readonly beforeSystem: string;
  readonly afterSystem: string;
  readonly beforeUser: string;
  /** Up to where the answer begins. */
  readonly afterUser: string;
  readonly afterAnswer: string;
}

/**
 * The template; null where the chat template is none of messages put between fixed texts. Ollama then falls back to what
 * it knows of the GGUF file's own.
 */
export function ollamaTemplate(tokenizer: Tokenizer): string | null {
  if (tokenizer.chatTemplate === null) return null;
  const template = new ChatTemplate(tokenizer.chatTemplate, tokenizer);
  const render = (messages: readonly Message[]) => {
    try {
      return template.render(messages, { addGenerationPrompt: true });
    } catch (error) {
      if (isSpielError(error)) return null;
      throw error;
    }
  };
  const plain = render(TURNS);
  const withSystem = render([message("system", SYSTEM), ...TURNS]);
  const begin = tokenizer.bosToken ?? "";
  const isBegun = [plain, withSystem].every((text) => text?.startsWith(begin));
  const parts = partsOf(plain, withSystem, isBegun ? begin : "");
  if (parts === null) return null;
  const cases = [
    [message("user", "a")],
    [message("system", "b"), message("user", "c")],
    [...TURNS, message("assistant", "d"), message("user", "e")],
  ];
  if (cases.some((messages) => render(messages) !== composed(parts, messages))) return null;
  // Ollama puts the begin token before a prompt itself where the tokenizer does.
  return written(isBegun && addsBegin(tokenizer) ? withoutBegin(parts, begin) : parts);
}

/** @param begin What both begin with, which is no part of what stands before a message. */
function partsOf(plain: string | null, withSystem: string | null, begin: string): Parts | null {
  const [head, toAnswer, toUser, end] = cut(plain?.slice(begin.length), [FIRST, ANSWER, SECOND]) ??
    [];
  const [beforeSystem, toFirst] = cut(withSystem, [SYSTEM, FIRST, ANSWER, SECOND]) ?? [];
  if (head === undefined || toUser === undefined || toAnswer === undefined) return null;
  if (beforeSystem === undefined || toFirst === undefined || toAnswer !== end) return null;
  // A user's message may follow the beginning, an answer or a system's message: what all three end with is its own.
  const beforeUser = commonEnd(commonEnd(head, toUser), toFirst);
  const without = (text: string) => text.slice(0, text.length - beforeUser.length);
  return {
    begin: begin + without(head),
    beforeSystem,
    afterSystem: without(toFirst),
    beforeUser,
    afterUser: toAnswer,
    afterAnswer: without(toUser),
  };
}

/** What stands before, between and behind marks that occur once each, in this order. */
function cut(text: string | null | undefined, marks: readonly string[]): string[] | null {
  const pieces: string[] = [];
  let rest = text ?? "";
  for (const mark of marks) {
    const [before, ...behind] = rest.split(mark);
    if (before === undefined || behind.length !== 1) return null;
    pieces.push(before);
    rest = behind[0]!;
  }
  return [...pieces, rest];
}

function commonEnd(a: string, b: string): string {
  let length = 0;
  while (length < Math.min(a.length, b.length) && a.at(-1 - length) === b.at(-1 - length)) length++;
  return a.slice(a.length - length);
}

/** A conversation as the parts make it. */
function composed(parts: Parts, messages: readonly Message[]): string {
  const begin = messages[0]?.role === "system" ? "" : parts.begin;
  return begin + messages.map(({ role, content }) => {
    switch (role) {
      case "system":
        return parts.beforeSystem + content + parts.afterSystem;
      case "user":
        return parts.beforeUser + content + parts.afterUser;
      default:
        return content + parts.afterAnswer;
    }
  }).join("");
}

function addsBegin(tokenizer: Tokenizer): boolean {
  return tokenizer.encode("a", { addSpecialTokens: "begin" }).length >
    tokenizer.encode("a", { addSpecialTokens: false }).length;
}

function withoutBegin({ begin, beforeSystem, ...rest }: Parts, token: string): Parts {
  return {
    begin: begin.slice(token.length),
    beforeSystem: beforeSystem.slice(token.length),
    ...rest,
  };
}

function written(parts: Parts): string | null {
  // Neither can be said inside the template, which stands between three quotes.
  if (Object.values(parts).some((text) => /\{\{|"""|"$/.test(text))) return null;
  const { begin, beforeSystem, afterSystem, beforeUser, afterUser, afterAnswer } = parts;
  const first = begin === "" ? "" : `{{ if not .System }}${begin}{{ end }}`;
  return `${first}{{ range .Messages }}` +
    `{{ if eq .Role "system" }}${beforeSystem}{{ .Content }}${afterSystem}` +
    `{{ else if eq .Role "user" }}${beforeUser}{{ .Content }}${afterUser}` +
    `{{ else }}{{ .Content }}${afterAnswer}{{ end }}{{ end }}`;
}
