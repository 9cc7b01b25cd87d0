/** Turns one example in words into token ids and a mask of those to train. */
import { SpielError } from "../errors.ts";
import { RecordError } from "../io/record_error.ts";
import { TooLongError } from "./bad_examples.ts";
import { ChatTemplate, type Message, type Span } from "./chat_template.ts";
import type { Sample } from "./formats/mod.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** An example ready for training. Its last token is a trained one: what follows could teach nothing. */
export interface TokenizedExample {
  /** Token ids. */
  ids: Uint32Array;
  /** 1 where ids[i] is a trained token, which the first never is. */
  trained: Uint8Array;
  /** Tokens cut off because the example was longer than allowed. */
  truncatedTokens: number;
}

/** What the model is asked in an example, and the answer that it should give. */
export interface Question {
  /** Rendered, up to where the answer begins. */
  prompt: string;
  /** The same in token ids. */
  promptIds: Uint32Array;
  /** The answer that counts as right. */
  completion: string;
}

/** Tokenises examples with one tokenizer and its chat template. */
export class ExampleEncoder {
  readonly #tokenizer: Tokenizer;
  readonly #template: ChatTemplate | null;
  /** Whether the template ends answers: of the conversations so far some, none, or null where there are none. */
  #hasEnds: boolean | null = null;

  /** @throws {SpielError} kind "data" when the tokenizer's chat template does not parse. */
  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
    this.#template = tokenizer.chatTemplate === null
      ? null
      : new ChatTemplate(tokenizer.chatTemplate, tokenizer);
  }

  /**
   * Tokenises the whole example at once, so that no token border is forced where training begins. A token is
   * trained when it begins inside a trained part of the text.
   *
   * @param where File and line of the example.
   * @param maxLength The most tokens to keep.
   * @throws {RecordError} when no token would be trained, or the template or tokenizer refuses the example.
   */
  encode(sample: Sample, where: string, maxLength: number): TokenizedExample {
    const { text, spans, isChat } = this.#render(sample, where);
    if (!text.isWellFormed()) {
      throw new RecordError(
        where,
        "its text has one half of a surrogate pair, which is no character",
      );
    }
    const { ids, starts } = located(
      where,
      () => this.#tokenizer.encodeWithOffsets(text, { addSpecialTokens: !isChat }),
    );
    const trained = new Uint8Array(ids.length);
    // The first token has nothing before it to be predicted from.
    for (let i = 1; i < ids.length; i++) {
      const start = starts[i]!;
      if (spans.some((span) => span.start <= start && start < span.end)) trained[i] = 1;
    }
    const length = trained.lastIndexOf(1) + 1;
    const kept = trained.subarray(0, Math.min(length, maxLength)).lastIndexOf(1) + 1;
    if (kept === 0) {
      if (length > 0) throw new TooLongError(where, maxLength, length);
      throw new RecordError(where, "no token of it is trained, so there is nothing to learn");
    }
    return {
      ids: ids.slice(0, kept),
      trained: trained.slice(0, kept),
      truncatedTokens: length - kept,
    };
  }

  /** Whether the template ends answers: of the conversations encoded here some, none, or null without any. */
  get hasEnds(): boolean | null {
    return this.#hasEnds;
  }

  /** Takes note of what another encoder has seen. */
  noteEnds(hasEnds: boolean | null): void {
    if (hasEnds !== null) this.#hasEnds ||= hasEnds;
  }

  /** What the model cannot learn of where answers end, in words; null where the chat template ends them. */
  get endNotice(): string | null {
    if (this.#template === null || this.#hasEnds !== false) return null;
    const { eosToken } = this.#tokenizer;
    if (this.#template.hasBlocks) {
      return "the chat template's {% generation %} blocks hold no special token that ends an answer: " +
        "the model will not learn to stop";
    }
    return eosToken === null
      ? "the chat template ends answers with no special token, and the tokenizer has none that ends a text: " +
        "the model will not learn to stop"
      : `the chat template ends answers with no special token: "${eosToken}" is put behind the last answer of each ` +
        "example, and those before it have no end";
  }

  /**
   * What to ask the model to see whether it answers as the example does; null for an example that is no question
   * (plain text, or a conversation that does not end with the assistant's words).
   */
  question(sample: Sample): Question | null {
    if (sample.kind === "text") return null;
    const messages = this.#messages(sample);
    if (messages === null && sample.kind === "completion") {
      const { prompt, completion } = sample;
      const promptIds = this.#tokenizer.encode(prompt, { addSpecialTokens: "begin" });
      return { prompt, promptIds, completion };
    }
    if (messages === null || this.#template === null) return null;
    const answer = messages.at(-1);
    if (answer?.role !== "assistant" || answer.content === null) return null;
    const prompt = this.#template.render(messages.slice(0, -1), { addGenerationPrompt: true });
    const promptIds = this.#tokenizer.encode(prompt, { addSpecialTokens: false });
    return { prompt, promptIds, completion: answer.content };
  }

  #render(sample: Sample, where: string): { text: string; spans: Span[]; isChat: boolean } {
    const template = this.#template;
    const messages = this.#messages(sample);
    if (messages !== null && template !== null) {
      const silent = messages.findIndex(({ content }) => content === null);
      const note = silent < 0
        ? ""
        : ` (message ${silent} has no content but tool calls, which not every template takes)`;
      const { hasEnds, ...rendered } = located(
        where,
        () => template.renderForTraining(messages),
        note,
      );
      this.#hasEnds ||= hasEnds;
      return { ...rendered, isChat: true };
    }
    if (sample.kind === "conversation") {
      const { where: place } = this.#tokenizer.parts;
      throw new RecordError(where, `it is a conversation, but ${place} has no chat template`);
    }
    const { body, start } = plainText(sample);
    const end = this.#tokenizer.eosToken ?? "";
    const text = body.endsWith(end) ? body : body + end;
    return { text, spans: [{ start, end: text.length }], isChat: false };
  }

  /** The example as a conversation, or null when it is not one. */
  #messages(sample: Sample): Message[] | null {
    if (sample.kind === "conversation") return sample.messages;
    if (sample.kind === "text" || this.#template === null) return null;
    return [
      { role: "user", content: sample.prompt },
      { role: "assistant", content: sample.completion },
    ];
  }
}

/** The text of an example that is no conversation, and where its trained part starts. */
function plainText(sample: Exclude<Sample, { kind: "conversation" }>) {
  return sample.kind === "text"
    ? { body: sample.text, start: 0 }
    : { body: sample.prompt + sample.completion, start: sample.prompt.length };
}

/** Adds file and line, and a note if there is one, to what a template or tokenizer complains about. */
function located<T>(where: string, render: () => T, note = ""): T {
  try {
    return render();
  } catch (error) {
    if (!(error instanceof SpielError) || error.kind !== "data") throw error;
    throw new RecordError(where, error.message + note, { cause: error });
  }
}
