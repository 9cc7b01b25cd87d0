/** Text from a model and a prompt or conversation, as it is generated. */

import { type OpenModelOptions, openSource } from "../adapter/open_model.ts";
import { ChatTemplate, type Message } from "../data/chat_template.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import type { Engine } from "../engine/engine.ts";
import { SpielError } from "../errors.ts";
import { localModelPath } from "../model/local_model.ts";
import { openModelSource } from "../model/source.ts";
import { tokenizerOf } from "../model/tokenizer.ts";
import { decodeStream, generateTokens } from "./generate.ts";

/** Tokens of a prompt that are computed at once. */
const PREFILL_TOKENS = 512;

/** What to answer: one message, or a conversation that ends with the user's turn. */
export type Prompt =
  | { readonly prompt: string; readonly messages?: undefined }
  | { readonly messages: readonly Message[]; readonly prompt?: undefined };

/** How to answer. */
export interface AnswerOptions {
  /** Continues the prompt as it is, without the model's chat template; an empty one from the token that begins a text. */
  readonly raw?: boolean;
  /** Most tokens to generate; 256 when absent. */
  readonly maxNewTokens?: number;
  /** 0, the default, always takes the likeliest token. */
  readonly temperature?: number;
  /** Draws among the likeliest tokens that together have this probability, above 0; 1 when absent. */
  readonly topP?: number;
  /** Seed of the draws; 0 when absent. */
  readonly seed?: number;
  /** Ends the answer before the next token. */
  readonly signal?: AbortSignal | undefined;
}

/** A model, a prompt, and how to answer it. */
export type GenerateTextOptions = OpenModelOptions & AnswerOptions & Prompt;

/** A model that stays open from one answer to the next. */
export interface Responder extends AsyncDisposable {
  /**
   * Answers in pieces of text that never split a character. An answer ends with its last piece or when its reader leaves.
   *
   * @throws {SpielError} `usage` when read while another answer has not ended.
   */
  answer(prompt: Prompt & AnswerOptions): AsyncGenerator<string, void, void>;
}

/**
 * Opens a model to generate with.
 *
 * @example
 * ```ts
 * import { openResponder } from "./mod.ts";
 *
 * await using responder = await openResponder({ model: "models/base", adapter: "runs/train/adapter" });
 * for await (const piece of responder.answer({ prompt: "Hello" })) await Deno.stdout.write(new TextEncoder().encode(piece));
 * ```
 */
export async function openResponder(options: OpenModelOptions): Promise<Responder> {
  await using held = new AsyncDisposableStack();
  const source = held.use(openModelSource(await localModelPath(options.model, options)));
  // A bad tokenizer is told before any weight is read.
  const { tokenizer, stopTokens } = tokenizerOf(source);
  const { engine } = held.use(
    await openSource(source, options, { microBatchTokens: PREFILL_TOKENS }),
  );
  const limit = source.config.max_position_embeddings;
  const kept = held.move();
  let answering = false;
  return {
    async *answer(prompt) {
      if (answering) {
        throw new SpielError("usage", "The model gives another answer; end that one first");
      }
      answering = true;
      try {
        yield* answer(engine, tokenizer, stopTokens, limit, prompt);
      } finally {
        answering = false;
      }
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Opens a model, answers once and closes it. */
export async function* generateText(
  options: GenerateTextOptions,
): AsyncGenerator<string, void, void> {
  await using responder = await openResponder(options);
  yield* responder.answer(options);
}

async function* answer(
  engine: Engine,
  tokenizer: Tokenizer,
  stopTokens: readonly number[],
  limit: number,
  options: Prompt & AnswerOptions,
): AsyncGenerator<string, void, void> {
  const { temperature = 0, topP = 1, seed = 0, maxNewTokens = 256, signal } = options;
  const prompt = promptIds(tokenizer, options);
  const room = limit - prompt.length;
  if (room < 1) {
    throw new SpielError(
      "data",
      `The prompt has ${prompt.length} tokens; this model takes fewer than ${limit}`,
    );
  }
  const tokens = generateTokens(
    engine,
    prompt,
    { temperature, topP, seed, stopTokens, maxNewTokens: Math.min(maxNewTokens, room) },
    signal,
  );
  yield* decodeStream(tokens, (ids) => tokenizer.decode(ids, { skipSpecialTokens: true }));
}

function promptIds(tokenizer: Tokenizer, { prompt, messages, raw }: Prompt & AnswerOptions) {
  if (messages === undefined && (raw || tokenizer.chatTemplate === null)) {
    const ids = tokenizer.encode(prompt, { addSpecialTokens: "begin" });
    return ids.length > 0 ? ids : beginningOf(tokenizer);
  }
  if (tokenizer.chatTemplate === null) {
    throw new SpielError("data", "A conversation needs a model with a chat template");
  }
  const template = new ChatTemplate(tokenizer.chatTemplate, tokenizer);
  if (prompt?.trim() === "") throw new SpielError("usage", "The prompt is empty; expected text");
  const turns = messages ?? [{ role: "user", content: prompt }];
  const text = template.render([...turns], { addGenerationPrompt: true });
  return tokenizer.encode(text, { addSpecialTokens: false });
}

/** The token that begins a text, where the tokenizer does not put it there by itself. */
function beginningOf(tokenizer: Tokenizer): Uint32Array {
  const { bosToken } = tokenizer;
  if (bosToken !== null) return tokenizer.encode(bosToken, { addSpecialTokens: false });
  throw new SpielError(
    "usage",
    "The prompt is empty; expected text, as this model has no token that begins one",
  );
}
