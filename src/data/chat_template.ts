/** Renders conversations with a model's own Jinja chat template, and finds what the assistant said in the result. */
import { Template } from "npm:@huggingface/jinja@0.5.11";
import { SpielError } from "../errors.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** One message of a conversation. Fields beside these reach the template as they are. */
export interface Message {
  /** Such as `system`, `user` or `assistant`. */
  role: string;
  /** What is said. */
  content: string | null;
  /** Whatever else the template knows. */
  [field: string]: unknown;
}

/** Half-open range of UTF-16 positions in a text. */
export interface Span {
  start: number;
  end: number;
}

/** A rendered conversation and the parts of it that the model should learn to write. */
export interface RenderedConversation {
  text: string;
  spans: Span[];
  /** Whether the template itself ends what the assistant says by a special token. */
  hasEnds: boolean;
}

interface ContentMarks {
  start: number | undefined;
  end: number | undefined;
}

/** Marks that stand around a piece of text while a template runs, and are cut out of the result. */
const BEGIN = "\uE000";
const END = "\uE001";
const MARKS = /[\uE000\uE001]/g;

const GENERATION_TAG = /\{%(-?)\s*(end)?generation\s*(-?)%\}/g;

/**
 * LLaMA 3 templates print a date: the one given, or today's. A fixed one keeps a rendering the same every day;
 * this is the default that those templates themselves carry.
 */
const DATE_STRING = "26 Jul 2024";

/** A compiled chat template. */
export class ChatTemplate {
  readonly #plain: Template;
  /** The same with marks where `{% generation %}` blocks begin and end; null when it has none. */
  readonly #marked: Template | null;
  readonly #variables: Record<string, unknown>;
  readonly #specialTokens: readonly string[];
  readonly #eosToken: string;

  /**
   * Compiles a template.
   *
   * @param source Jinja source.
   * @param tokenizer Supplies `bos_token`, `eos_token` and the strings that can end a turn, and names the file.
   * @throws {SpielError} kind "data" when the template does not parse.
   */
  constructor(
    source: string,
    tokenizer: Pick<Tokenizer, "bosToken" | "eosToken" | "specialTokens"> & Partial<Tokenizer>,
  ) {
    const where = tokenizer.parts?.templateWhere ?? tokenizer.parts?.where;
    this.#plain = compile(source, where);
    this.#marked = source.search(GENERATION_TAG) < 0 ? null : compile(withMarks(source), where);
    this.#eosToken = tokenizer.eosToken ?? "";
    this.#variables = {
      bos_token: tokenizer.bosToken ?? "",
      eos_token: this.#eosToken,
      date_string: DATE_STRING,
    };
    this.#specialTokens = tokenizer.specialTokens;
  }

  /**
   * Renders a conversation.
   *
   * @param options `addGenerationPrompt` ends the text where the assistant's next answer begins.
   * @throws {SpielError} kind "data" with the template's own complaint.
   */
  render(messages: readonly Message[], options: { addGenerationPrompt?: boolean } = {}): string {
    return this.#run(this.#plain, messages, options.addGenerationPrompt ?? false);
  }

  /** Whether the assistant's words are those in the template's `{% generation %}` blocks. */
  get hasBlocks(): boolean {
    return this.#marked !== null;
  }

  /**
   * Renders a conversation for training. Spans cover every assistant message with the token that ends its turn,
   * or exactly the template's `{% generation %}` blocks where it has these. Where a template without blocks ends no
   * turn, the end of a text is put behind the last one, so that the model learns to stop.
   *
   * @throws {SpielError} kind "data" when the assistant's words cannot be found in the rendered text.
   */
  renderForTraining(messages: readonly Message[]): RenderedConversation {
    const text = this.render(messages);
    if (this.#marked !== null) {
      const spans = this.#blockSpans(this.#marked, messages, text);
      return { text, spans, hasEnds: this.#hasEnds(text, spans) };
    }
    const spans = this.#messageSpans(messages, text);
    const hasEnds = this.#hasEnds(text, spans);
    const last = spans.at(-1);
    if (hasEnds || last === undefined || messages.at(-1)?.role !== "assistant") {
      return { text, spans, hasEnds };
    }
    const ended = text.slice(0, last.end) + this.#eosToken;
    return { text: ended, spans: spans.with(-1, { ...last, end: ended.length }), hasEnds };
  }

  #hasEnds(text: string, spans: readonly Span[]): boolean {
    return spans.some(({ start, end }) => {
      const words = text.slice(start, end).trimEnd();
      return this.#specialTokens.some((token) => words.endsWith(token));
    });
  }

  #blockSpans(marked: Template, messages: readonly Message[], text: string): Span[] {
    const marks = cutMarks(this.#run(marked, messages, false), text);
    if (marks === null || marks.begins.length !== marks.ends.length) {
      throw new SpielError(
        "data",
        "The chat template changes when its generation blocks are marked, " +
          "so the assistant's words cannot be told apart",
      );
    }
    return marks.begins.map((start, i) => ({ start, end: marks.ends[i]! }));
  }

  #messageSpans(messages: readonly Message[], text: string): Span[] {
    const spans: Span[] = [];
    messages.forEach((message, index) => {
      if (message.role !== "assistant") return;
      const content = this.#contentMarks(messages, index, text);
      const start = this.#turnStart(messages, index, text) ?? content.start;
      const end = content.end === undefined
        ? this.#turnEnd(messages, index, text)
        : content.end + this.#endToken(messages, index, text, content.end).length;
      if (start === undefined || end === undefined || end < start) {
        throw new SpielError(
          "data",
          `The chat template hides where assistant message ${index} lies: ` +
            `give the template {% generation %} blocks`,
        );
      }
      spans.push({ start, end });
    });
    return spans;
  }

  /** Where the content of one message begins and ends, as far as the template prints it as it is. */
  #contentMarks(messages: readonly Message[], index: number, text: string): ContentMarks {
    const message = messages[index]!;
    if (message.content === null) return { start: undefined, end: undefined };
    // Inside the outer white space, which templates may trim.
    const trimmed = message.content.trim();
    const from = message.content.indexOf(trimmed);
    const content = message.content.slice(0, from) + BEGIN + trimmed + END +
      message.content.slice(from + trimmed.length);
    const marked = messages.map((other, i) => i === index ? { ...message, content } : other);
    const marks = cutMarks(this.#run(this.#plain, marked, false), text);
    return { start: only(marks?.begins), end: only(marks?.ends) };
  }

  /** The end of what the conversation up to a message asks the assistant to continue. */
  #turnStart(messages: readonly Message[], index: number, text: string): number | undefined {
    const prompt = this.#run(this.#plain, messages.slice(0, index), true);
    return text.startsWith(prompt) ? prompt.length : undefined;
  }

  /** The end of the conversation up to and with a message, white space left out. */
  #turnEnd(messages: readonly Message[], index: number, text: string): number | undefined {
    const upTo = this.#run(this.#plain, messages.slice(0, index + 1), false).trimEnd();
    return text.startsWith(upTo) ? upTo.length : undefined;
  }

  /**
   * The special token that ends a message, with the white space before it; empty where none does. One that only
   * follows when another message does begins that one.
   */
  #endToken(messages: readonly Message[], index: number, text: string, end: number): string {
    const token = this.#specialTokenAt(text, end);
    if (token === "" || index === messages.length - 1) return token;
    const upTo = messages.slice(0, index + 1);
    const alone = this.#run(this.#plain, upTo, false);
    const content = this.#contentMarks(upTo, index, alone);
    return content.end !== undefined && this.#specialTokenAt(alone, content.end) === token
      ? token
      : "";
  }

  /** The special token at a position, with the white space before it; empty where there is none. */
  #specialTokenAt(text: string, position: number): string {
    const rest = text.slice(position);
    const gap = rest.length - rest.trimStart().length;
    const token = this.#specialTokens.find((special) => rest.startsWith(special, gap));
    return token === undefined ? "" : rest.slice(0, gap) + token;
  }

  #run(template: Template, messages: readonly Message[], addGenerationPrompt: boolean): string {
    try {
      return template.render({
        ...this.#variables,
        messages,
        add_generation_prompt: addGenerationPrompt,
      });
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new SpielError("data", `The chat template refuses the conversation: ${reason}`, {
        cause,
      });
    }
  }
}

function compile(source: string, where: string | undefined): Template {
  try {
    return new Template(source);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    // The parser looks past the last token without looking whether there is one.
    const reason = cause instanceof TypeError ? "it ends inside a statement or block" : message;
    const file = where === undefined ? "" : ` of ${where}`;
    throw new SpielError("data", `The chat template${file} does not parse: ${reason}`, { cause });
  }
}

/** Puts marks where generation blocks begin and end, keeping the tags' white space control. */
function withMarks(source: string): string {
  return source.replace(
    GENERATION_TAG,
    (_, left: string, end: string | undefined, right: string) =>
      `{{${left} "${end === undefined ? BEGIN : END}" ${right}}}`,
  );
}

/** The element of a list of one. */
function only(positions: readonly number[] | undefined): number | undefined {
  return positions?.length === 1 ? positions[0] : undefined;
}

/** Takes the marks out of a rendering and says where they stood; null when what is left is not `plain`. */
function cutMarks(marked: string, plain: string): { begins: number[]; ends: number[] } | null {
  if (marked.replace(MARKS, "") !== plain) return null;
  const begins: number[] = [];
  const ends: number[] = [];
  let cut = 0;
  for (const match of marked.matchAll(MARKS)) {
    (match[0] === BEGIN ? begins : ends).push(match.index - cut++);
  }
  return { begins, ends };
}
