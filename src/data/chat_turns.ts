/** Finds what the assistant says in a rendered conversation, for templates that do not mark it themselves. */
import { SpielError } from "../errors.ts";
import { cutMarks, unusedMarks } from "./chat_marks.ts";
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
  return answers.map((index, i) => {
    const content = contents[i]!;
    const start = turnStart(messages, index, text, renderer) ?? content.start;
    // Calls are printed behind the content.
    const end = content.end === undefined || messages[index]!.tool_calls !== undefined
      ? turnEnd(messages, index, text, renderer)
      : content.end + endToken(messages, index, text, content.end, renderer).length;
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

/** Where the contents of messages lie: all seen in one rendering, or else each in its own. */
function contentsOf(
  messages: readonly Message[],
  indices: readonly number[],
  text: string,
  renderer: Renderer,
): Content[] {
  const together = markedContents(messages, indices, text, renderer);
  const isFound = together?.every(({ start, end }) => start !== undefined && end !== undefined);
  if (isFound || indices.length === 1) return together ?? [{}];
  return indices.map((index) => markedContents(messages, [index], text, renderer)?.[0] ?? {});
}

/** Null when the template prints something else because of the marks. */
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

/** The end of what the conversation up to a message asks the assistant to continue. */
function turnStart(
  messages: readonly Message[],
  index: number,
  text: string,
  { render }: Renderer,
): number | undefined {
  const prompt = attempt(() => render(messages.slice(0, index), true));
  return prompt !== undefined && text.startsWith(prompt) ? prompt.length : undefined;
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

/**
 * The special token that ends a message, with the white space before it; empty where none does. One that only follows
 * when another message does begins that one.
 */
function endToken(
  messages: readonly Message[],
  index: number,
  text: string,
  end: number,
  renderer: Renderer,
): string {
  const token = specialTokenAt(text, end, renderer);
  if (token === "" || index === messages.length - 1) return token;
  const upTo = messages.slice(0, index + 1);
  const alone = attempt(() => renderer.render(upTo, false));
  if (alone === undefined) return "";
  if (alone.startsWith(text.slice(0, end + token.length))) return token;
  const [content] = contentsOf(upTo, [index], alone, renderer);
  return content?.end !== undefined && specialTokenAt(alone, content.end, renderer) === token
    ? token
    : "";
}

/** The special token at a position, with the white space before it; empty where there is none. */
function specialTokenAt(text: string, position: number, { specialTokens }: Renderer): string {
  const rest = text.slice(position);
  const gap = rest.length - rest.trimStart().length;
  const token = specialTokens.find((special) => rest.startsWith(special, gap));
  return token === undefined ? "" : rest.slice(0, gap) + token;
}

/** A part of a conversation may be one that the template refuses. */
function attempt(render: () => string): string | undefined {
  try {
    return render();
  } catch (error) {
    if (error instanceof SpielError && error.kind === "data") return undefined;
    throw error;
  }
}

/** The element of a list of one. */
function only(positions: readonly number[]): number | undefined {
  return positions.length === 1 ? positions[0] : undefined;
}
