/** Turns one example in words into token ids and a mask of those to train. */
import { SpielError } from "../errors.ts";
import { RecordError } from "../io/record_error.ts";
import { TooLongError } from "./bad_examples.ts";
import { ChatTemplate, type Message, type Span, type Turn } from "./chat_template.ts";
import { isToLearn } from "./formats/message_weight.ts";
import { messagesOf, type Sample } from "./formats/mod.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { firstTrained, type TrainOn } from "./train_on.ts";
import { refuseHalves } from "./whole_characters.ts";

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

/** An example in words, as it is tokenised. */
interface RenderedExample {
  text: string;
  /** Trained parts, in order. */
  spans: Span[];
  /** Ends of turns, where a text that is too long is best cut. */
  ends: number[];
  /** Whether a chat template has put all special tokens there. */
  isChat: boolean;
}

type Conversation = Extract<Sample, { kind: "conversation" }>;

/** Tokenises examples with one tokenizer and its chat template. */
export class ExampleEncoder {
  readonly #tokenizer: Tokenizer;
  readonly #trainOn: TrainOn;
  readonly #template: ChatTemplate | null;
  /** Whether the template ends answers: of the conversations so far some, none, or null where there are none. */
  #hasEnds: boolean | null = null;

  /** @throws {SpielError} kind "data" when the tokenizer's chat template does not parse. */
  constructor(tokenizer: Tokenizer, trainOn: TrainOn = "assistant") {
    this.#tokenizer = tokenizer;
    this.#trainOn = trainOn;
    this.#template = tokenizer.chatTemplate === null
      ? null
      : new ChatTemplate(tokenizer.chatTemplate, tokenizer);
  }

  /**
   * Tokenises the whole example at once, so that no token border is forced where training begins. A token is
   * trained when it begins inside a trained part of the text. What is too long ends with the last turn that fits and
   * is trained, or where none does, in the middle of one.
   *
   * @param where File and line of the example.
   * @param maxLength The most tokens to keep.
   * @throws {RecordError} when no token would be trained, or the template or tokenizer refuses the example.
   */
  encode(sample: Sample, where: string, maxLength: number): TokenizedExample {
    const { text, spans, ends, isChat } = this.#render(sample, where);
    refuseHalves(text, where);
    const { ids, starts } = located(
      where,
      () => this.#tokenizer.encodeWithOffsets(text, { addSpecialTokens: !isChat }),
    );
    const trained = maskOf(starts, spans);
    const length = trained.lastIndexOf(1) + 1;
    const kept = length > maxLength ? cutLength(trained, starts, ends, maxLength) : length;
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
    const conversation = this.#conversation(sample);
    if (conversation === null && sample.kind === "completion") {
      const { plainPrompt: prompt = sample.prompt, completion } = sample;
      const promptIds = this.#tokenizer.encode(prompt, { addSpecialTokens: "begin" });
      return { prompt, promptIds, completion };
    }
    if (conversation === null || this.#template === null) return null;
    const { messages, tools } = conversation;
    const answer = messages.at(-1);
    if (answer?.role !== "assistant" || answer.content === null || !isToLearn(answer)) return null;
    const asked = { addGenerationPrompt: true, tools };
    const prompt = this.#template.render(messages.slice(0, -1), asked);
    const promptIds = this.#tokenizer.encode(prompt, { addSpecialTokens: false });
    return { prompt, promptIds, completion: answer.content };
  }

  #render(sample: Sample, where: string): RenderedExample {
    const conversation = this.#conversation(sample);
    if (conversation !== null && this.#template !== null) {
      return this.#renderConversation(this.#template, conversation, where);
    }
    if (sample.kind === "conversation") {
      const { where: place } = this.#tokenizer.parts;
      throw new RecordError(where, `it is a conversation, but ${place} has no chat template`);
    }
    const isPart = this.#trainOn === "last" || this.#trainOn === "completion";
    if (sample.kind === "text" && isPart) {
      throw new RecordError(
        where,
        `it is text, which has no completion; expected train_on assistant or all`,
      );
    }
    const { body, completionAt } = plainText(sample);
    const end = this.#tokenizer.eosToken ?? "";
    const text = body.endsWith(end) ? body : body + end;
    const start = this.#trainOn === "all" ? 0 : completionAt;
    return { text, spans: [{ start, end: text.length }], ends: [], isChat: false };
  }

  #renderConversation(
    template: ChatTemplate,
    conversation: Conversation,
    where: string,
  ): RenderedExample {
    const silent = conversation.messages.findIndex(({ content }) => content === null);
    const note = silent < 0
      ? ""
      : ` (message ${silent} has no content but tool calls, which not every template takes)`;
    const { text, turns, hasEnds } = located(
      where,
      () => template.renderForTraining(conversation),
      note,
    );
    this.#hasEnds ||= hasEnds;
    const ends = turns.map(({ end }) => end);
    if (this.#trainOn === "all") {
      return { text, spans: [{ start: 0, end: text.length }], ends, isChat: true };
    }
    const spans = trainedTurns(turns, conversation, this.#trainOn);
    if (spans === null) {
      throw new RecordError(
        where,
        "the chat template's {% generation %} blocks are not one for each message of the assistant, " +
          "so the ones to train cannot be told; expected train_on assistant or all, and no weight 0",
      );
    }
    return { text, spans, ends, isChat: true };
  }

  /** The example as a conversation, or null when it is not one. */
  #conversation(sample: Sample): Conversation | null {
    if (sample.kind === "conversation") return sample;
    if (sample.kind === "text" || this.#template === null) return null;
    const messages = messagesOf(sample);
    return { kind: "conversation", messages, promptMessages: messages.length - 1 };
  }
}

/** The turns that are trained; null when it cannot be told which they are. */
function trainedTurns(
  turns: readonly Turn[],
  conversation: Conversation,
  trainOn: TrainOn,
): Turn[] | null {
  const first = firstTrained(trainOn, conversation);
  const isTrained = (message: Message, index: number) => index >= first && isToLearn(message);
  const isWhole = conversation.messages.every((message, index) =>
    message.role !== "assistant" || isTrained(message, index)
  );
  if (isWhole) return [...turns];
  if (turns.some(({ message }) => message === null)) return null;
  return turns.filter(({ message }) => isTrained(conversation.messages[message!]!, message!));
}

/** The text of an example that is no conversation, and where its completion starts. */
function plainText(sample: Exclude<Sample, Conversation>) {
  if (sample.kind === "text") return { body: sample.text, completionAt: 0 };
  const { plainPrompt = sample.prompt, completion } = sample;
  return { body: plainPrompt + completion, completionAt: plainPrompt.length };
}

/** 1 for each token that begins in a trained part; the first one has nothing before it to be predicted from. */
function maskOf(starts: Uint32Array, spans: readonly Span[]): Uint8Array {
  const trained = new Uint8Array(starts.length);
  let at = 0;
  for (let i = 1; i < starts.length; i++) {
    const start = starts[i]!;
    while (at < spans.length && spans[at]!.end <= start) at++;
    if (at < spans.length && spans[at]!.start <= start) trained[i] = 1;
  }
  return trained;
}

/** How many tokens to keep of too many; 0 when none of them would be trained. */
function cutLength(
  trained: Uint8Array,
  starts: Uint32Array,
  ends: readonly number[],
  maxLength: number,
): number {
  const fitting = ends.filter((end) => end <= starts[maxLength]!);
  const afterTurn = starts.findIndex((start) => start >= (fitting.at(-1) ?? 0));
  const whole = trained.subarray(0, afterTurn).lastIndexOf(1) + 1;
  return whole > 0 ? whole : trained.subarray(0, maxLength).lastIndexOf(1) + 1;
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
