/** Finds what the assistant says in a rendered conversation, for templates that do not mark it themselves. */
import { SpielError } from "../errors.ts";
import { cutMarks, unusedMarks } from "./chat_marks.ts";
import { BudgetError } from "./jinja_bounds.ts";
import type { Message, Turn } from "./chat_template.ts";

/** What is known of the template that rendered a conversation. */
export interface Renderer {
  /** @throws {SpielError} kind "data" when the template refuses the messages. */
  render(messages: readonly Message[], addGenerationPrompt: boolean): string;
  /** What can end a turn. */
  readonly specialTokens: readonly string[];
}

/** Where a content begins and ends, as far as the template prints it once and as it is. */
interface Content {
  start?: number | undefined;
  end?: number | undefined;
}

/**
 * The turns of the assistant's messages: from the end of what the template prints to ask for the answer, to the special
 * token that ends it. Nothing is tokenised here: prefixes are rendered, and compared as text.
 *
 * @throws {SpielError} kind "data" when they cannot be found.
 */
export function findTurns(messages: readonly Message[], text: string, renderer: Renderer): Turn[] {
  const answers = [...messages.keys()].filter((index) => messages[index]!.role === "assistant");
  const contents = contentsOf(messages, answers, text, renderer);
  const headers = new Headers(messages, text, renderer);
  const ends = new EndTokens(messages, text, renderer);
  return answers.map((index, i) => {
    const content = contents[i]!;
    const start = headers.endBefore(index, content.start) ?? content.start;
    // Calls are printed behind the content.
    const end = content.end === undefined || messages[index]!.tool_calls !== undefined
      ? turnEnd(messages, index, text, renderer)
      : content.end + ends.behind(index, content.end).length;
    if (start === undefined || end === undefined || end < start) {
      throw new SpielError(
        "data",
        `The chat template hides where assistant message ${index} lies: ` +
          `give the template {% generation %} blocks`,
      );
    }
    return { message: index, start, end };
  });
}

/**
 * Where the contents of messages lie: all seen in one rendering, or where their marks change what the template prints,
 * or are too many, in two of half as many each.
 */
function contentsOf(
  messages: readonly Message[],
  indices: readonly number[],
  text: string,
  renderer: Renderer,
): Content[] {
  const found = markedContents(messages, indices, text, renderer);
  if (found !== null || indices.length <= 1) return found ?? indices.map(() => ({}));
  const half = indices.length >> 1;
  return [indices.slice(0, half), indices.slice(half)]
    .flatMap((some) => contentsOf(messages, some, text, renderer));
}

/** Null when the template prints something else because of the marks, or there are not so many. */
function markedContents(
  messages: readonly Message[],
  indices: readonly number[],
  text: string,
  renderer: Renderer,
): Content[] | null {
  const marks = unusedMarks(text, 2 * indices.length);
  if (marks === null) return null;
  const marked = [...messages];
  indices.forEach((index, i) => {
    marked[index] = withMarks(messages[index]!, marks[2 * i]!, marks[2 * i + 1]!);
  });
  const rendered = attempt(() => renderer.render(marked, false));
  const places = rendered === undefined ? null : cutMarks(rendered, text, marks);
  return places && indices.map((_, i) => ({
    start: only(places[2 * i]!),
    end: only(places[2 * i + 1]!),
  }));
}

/** Marks the content inside its outer white space, which templates may trim. */
function withMarks(message: Message, begin: string, end: string): Message {
  if (message.content === null) return message;
  const trimmed = message.content.trim();
  const from = message.content.indexOf(trimmed);
  const content = message.content.slice(0, from) + begin + trimmed + end +
    message.content.slice(from + trimmed.length);
  return { ...message, content };
}

/** What is learnt of one answer's header, to know it again before others. */
interface Header {
  /** What stands before the content: the header, and what the template puts between that and the content. */
  text: string;
  /** Characters between the header's end and the content. */
  gap: number;
}

/** Characters that must be the same before an answer whose header has none. */
const LEAST_HEADER = 4;

/**
 * Where the headers of answers end, which is where the conversation before asks for them. One rendering of that part
 * teaches the header, so that a long conversation is not rendered once for each of its answers.
 */
class Headers {
  /** By the role of the message before the answer. */
  readonly #known = new Map<string | undefined, Header[]>();

  constructor(
    private readonly messages: readonly Message[],
    private readonly text: string,
    private readonly renderer: Renderer,
  ) {}

  /** The end of the header of the answer whose content begins at `content`, if that is known. */
  endBefore(index: number, content: number | undefined): number | undefined {
    if (content === undefined) return this.#rendered(index)?.length;
    const role = this.messages[index - 1]?.role;
    const known = this.#known.get(role) ?? [];
    const same = known.find(({ text }) => this.text.endsWith(text, content));
    if (same !== undefined) return content - same.gap;
    const asked = this.#rendered(index);
    if (asked === undefined) return undefined;
    const silent = attempt(() => this.renderer.render(this.messages.slice(0, index), false));
    if (asked.length > content || silent === undefined || !asked.startsWith(silent)) {
      return asked.length;
    }
    const end = asked === silent ? this.#printedEnd(asked.length, content) : asked.length;
    const length = Math.max(asked.length - silent.length, LEAST_HEADER);
    const text = this.text.slice(Math.max(0, asked.length - length), content);
    this.#known.set(role, [...known, { text, gap: content - end }]);
    return end;
  }

  /**
   * The end of a header that the template prints with an answer but never to ask for one: it is no word of the
   * assistant's. Spaces before the content are left to the answer, as they are part of its first token.
   */
  #printedEnd(start: number, content: number): number {
    const header = this.text.slice(start, content);
    return start + (header.trim() === "" ? 0 : header.replace(/ +$/, "").length);
  }

  /** What the conversation up to an answer asks; undefined where the text does not begin so. */
  #rendered(index: number): string | undefined {
    const prompt = attempt(() => this.renderer.render(this.messages.slice(0, index), true));
    return prompt !== undefined && this.text.startsWith(prompt) ? prompt : undefined;
  }
}

/** The end of the conversation up to and with a message, white space left out. */
function turnEnd(
  messages: readonly Message[],
  index: number,
  text: string,
  { render }: Renderer,
): number | undefined {
  const upTo = attempt(() => render(messages.slice(0, index + 1), false))?.trimEnd();
  return upTo !== undefined && text.startsWith(upTo) ? upTo.length : undefined;
}

/** Which special tokens end an answer. */
class EndTokens {
  /** Whether a token ends an answer, by itself and the role of the next message. */
  readonly #known = new Map<string, boolean>();

  constructor(
    private readonly messages: readonly Message[],
    private readonly text: string,
    private readonly renderer: Renderer,
  ) {}

  /**
   * The special token that ends the message whose content ends at `end`, with the white space before it; empty where
   * none does. One that only follows when another message does begins that one.
   */
  behind(index: number, end: number): string {
    const token = specialTokenAt(this.text, end, this.renderer);
    if (token === "" || index === this.messages.length - 1) return token;
    const key = JSON.stringify([token, this.messages[index + 1]!.role]);
    let isEnd = this.#known.get(key);
    if (isEnd === undefined) {
      isEnd = this.#endsAlone(token, index, end);
      this.#known.set(key, isEnd);
    }
    return isEnd ? token : "";
  }

  /** Whether the token is there when the message is the last. */
  #endsAlone(token: string, index: number, end: number): boolean {
    const upTo = this.messages.slice(0, index + 1);
    const alone = attempt(() => this.renderer.render(upTo, false));
    if (alone === undefined) return false;
    if (alone.startsWith(this.text.slice(0, end + token.length))) return true;
    const [content] = contentsOf(upTo, [index], alone, this.renderer);
    return content?.end !== undefined &&
      specialTokenAt(alone, content.end, this.renderer) === token;
  }
}

/** The special token at a position, with the white space before it; empty where there is none. */
function specialTokenAt(text: string, position: number, { specialTokens }: Renderer): string {
  let begin = position;
  while (/\s/.test(text[begin] ?? "")) begin++;
  const token = specialTokens.find((special) => text.startsWith(special, begin));
  return token === undefined ? "" : text.slice(position, begin) + token;
}

/** A part of a conversation may be one that the template refuses. */
function attempt(render: () => string): string | undefined {
  try {
    return render();
  } catch (error) {
    const isRefusal = error instanceof SpielError && error.kind === "data" &&
      !(error.cause instanceof BudgetError);
    if (isRefusal) return undefined;
    throw error;
  }
}

/** The element of a list of one. */
function only(positions: readonly number[]): number | undefined {
  return positions.length === 1 ? positions[0] : undefined;
}
