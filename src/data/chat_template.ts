/** Renders conversations with a model's own Jinja chat template, and finds what the assistant said in the result. */
import { SpielError } from "../errors.ts";
import { cutMarks, unusedMarks } from "./chat_marks.ts";
import { findTurns } from "./chat_turns.ts";
import { DATE_STRING, JinjaTemplate } from "./jinja.ts";
import { WorkBudget } from "./jinja_bounds.ts";
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

/** What the assistant may call, in the terms of the template: mostly a function with a JSON schema. */
export type Tool = Record<string, unknown>;

/** Half-open range of UTF-16 positions in a text. */
export interface Span {
  start: number;
  end: number;
}

/** Where a message of the assistant lies in a rendered conversation, with what ends it. */
export interface Turn extends Span {
  /** Index of the message; null for a generation block of which this cannot be told. */
  message: number | null;
}

/** A rendered conversation and the parts of it that the model should learn to write. */
export interface RenderedConversation {
  text: string;
  /** What the assistant says, in order. */
  turns: Turn[];
  /** Whether the template itself ends what the assistant says by a special token. */
  hasEnds: boolean;
}

/** What a template is given beside the messages. */
export interface RenderOptions {
  /** End the text where the assistant's next answer begins. */
  addGenerationPrompt?: boolean;
  /** What the assistant may call. */
  tools?: readonly Tool[] | undefined;
}

/** What is rendered for training. */
interface Conversation {
  readonly messages: readonly Message[];
  readonly tools?: readonly Tool[] | undefined;
}

/** A comment, or a tag where a block of the assistant's words begins or ends. */
const GENERATION_TAG = /\{#[^]*?#\}|\{%([-+]?)\s*(end)?generation\s*([-+]?)%\}/g;

/** A compiled chat template. */
export class ChatTemplate {
  readonly #template: JinjaTemplate;
  readonly #hasBlocks: boolean;
  readonly #variables: Record<string, unknown>;
  readonly #specialTokens: readonly string[];
  readonly #eosToken: string;
  readonly #knowsTools: boolean;

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
    const { marked, hasBlocks } = withMarks(source);
    this.#template = new JinjaTemplate(marked, where);
    this.#hasBlocks = hasBlocks;
    this.#eosToken = tokenizer.eosToken ?? "";
    this.#variables = {
      bos_token: tokenizer.bosToken ?? "",
      eos_token: this.#eosToken,
      date_string: DATE_STRING,
    };
    this.#specialTokens = tokenizer.specialTokens;
    this.#knowsTools = /\btools\b/.test(source);
  }

  /**
   * Renders a conversation.
   *
   * @throws {SpielError} kind "data" with the template's own complaint, or when it works or prints without measure.
   */
  render(messages: readonly Message[], options: RenderOptions = {}): string {
    return this.#run(messages, options);
  }

  /** Whether the assistant's words are those in the template's `{% generation %}` blocks. */
  get hasBlocks(): boolean {
    return this.#hasBlocks;
  }

  /**
   * Renders a conversation for training. Turns cover every assistant message with the token that ends it, or exactly
   * the template's `{% generation %}` blocks where it has these. Where a template without blocks ends no turn, the end
   * of a text is put behind the last one, so that the model learns to stop.
   *
   * @throws {SpielError} kind "data" when the assistant's words cannot be found in the rendered text, or the template
   * does not tell the model of its tools.
   */
  renderForTraining({ messages, tools }: Conversation): RenderedConversation {
    if (tools !== undefined && !this.#knowsTools) {
      throw new SpielError(
        "data",
        `The chat template does not tell the model of tools, of which there ${
          tools.length === 1 ? "is 1" : `are ${tools.length}`
        }`,
      );
    }
    const conversation = { messages, tools };
    const text = this.render(messages, { tools });
    if (this.#hasBlocks) {
      const turns = this.#blockTurns(conversation, text);
      return { text, turns, hasEnds: this.#hasEnds(text, turns) };
    }
    const budget = new WorkBudget();
    const turns = findTurns(messages, text, {
      render: (some, addGenerationPrompt) =>
        this.#run(some, { addGenerationPrompt, tools }, { budget }),
      specialTokens: this.#specialTokens,
    });
    const hasEnds = this.#hasEnds(text, turns);
    const last = turns.at(-1);
    if (hasEnds || last === undefined || messages.at(-1)?.role !== "assistant") {
      return { text, turns, hasEnds };
    }
    const ended = text.slice(0, last.end) + this.#eosToken;
    return { text: ended, turns: turns.with(-1, { ...last, end: ended.length }), hasEnds };
  }

  #hasEnds(text: string, spans: readonly Span[]): boolean {
    return spans.some(({ start, end }) => {
      const words = text.slice(start, end).trimEnd();
      return this.#specialTokens.some((token) => words.endsWith(token));
    });
  }

  #blockTurns({ messages, tools }: Conversation, text: string): Turn[] {
    const marks = unusedMarks(text, 2);
    const places = marks && cutMarks(this.#run(messages, { tools }, { marks }), text, marks);
    const [begins = [], ends = []] = places ?? [];
    if (places === null || begins.length !== ends.length) {
      throw new SpielError(
        "data",
        "The chat template changes when its generation blocks are marked, " +
          "so the assistant's words cannot be told apart",
      );
    }
    const answers = [...messages.keys()].filter((index) => messages[index]!.role === "assistant");
    const isOneEach = answers.length === begins.length;
    return begins.map((start, i) => ({
      start,
      end: ends[i]!,
      message: isOneEach ? answers[i]! : null,
    }));
  }

  #run(
    messages: readonly Message[],
    { addGenerationPrompt = false, tools }: RenderOptions,
    { marks, budget }: { marks?: readonly string[]; budget?: WorkBudget } = {},
  ): string {
    const variables = {
      ...this.#variables,
      messages,
      // As transformers has it, so that templates may ask whether it is none.
      tools: tools ?? null,
      add_generation_prompt: addGenerationPrompt,
      [MARKS]: marks,
    };
    return this.#template.render(variables, budget);
  }
}

/** The variable with the marks to print where generation blocks begin and end; undefined to print none. */
const MARKS = "generation_marks";

/**
 * Puts statements in the place of a template's generation tags, which print marks when there are some. As they are
 * statements, white space around them is what it would be around the tags: trimmed by `-`, kept by `+`, else without
 * what precedes them in their line and the line's end behind them.
 */
function withMarks(source: string): { marked: string; hasBlocks: boolean } {
  let hasBlocks = false;
  const marked = source.replace(
    GENERATION_TAG,
    (tag, left: string | undefined, end: string | undefined, right: string | undefined) => {
      if (left === undefined || right === undefined) return tag;
      hasBlocks = true;
      const mark = `{{ ${MARKS}[${end === undefined ? 0 : 1}] }}`;
      const [begin, close] = [left, right].map((sign) => sign === "-" ? "-" : "");
      const [before, behind] = [left, right].map((sign) => sign === "+" ? '{{ "" }}' : "");
      return `${before}{%${begin} if ${MARKS} %}${mark}{% endif ${close}%}${behind}`;
    },
  );
  return { marked, hasBlocks };
}
