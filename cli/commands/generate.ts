/** `generate`: answers a prompt, or a conversation typed line by line, as the text comes. */

import {
  type ConfigKey,
  isSpielError,
  type Message,
  openResponder,
  type Prompt,
  resolveKeys,
  SpielError,
} from "../../mod.ts";
import { shownDownloads } from "../downloading.ts";
import {
  addKeyFlags,
  addNumberFlag,
  type AnyCommand,
  checkAll,
  flagEntries,
  type KeyWords,
  makeCommand,
  type NumberFlag,
  parseFlags,
  QUANTIZE_WORDS,
  readNumberFlag,
} from "../flags.ts";
import { Interrupts } from "../signals.ts";
import { standardOutput } from "../streams.ts";
import { openUi, type Ui } from "../ui.ts";

const KEYS = [
  "model",
  "quantize",
  "adapter",
  "offline",
  "host",
  "device",
  "gpu",
  "allow_software",
  "native_library",
  "threads",
  "precision",
  "memory_budget",
] as const satisfies readonly ConfigKey[];

const WORDS: KeyWords = {
  quantize: QUANTIZE_WORDS,
  adapter: { description: "adapter to add to the model, a folder", defaultText: "none" },
};

const MAX_NEW_TOKENS: NumberFlag = {
  flag: "--max-new-tokens",
  description: "longest answer",
  placeholder: "TOKENS",
  fallback: 256,
  minimum: 1,
  maximum: 2 ** 20,
  whole: true,
};
const TEMPERATURE: NumberFlag = {
  flag: "--temperature",
  description: "how much likelier tokens are preferred less; 0 always takes the likeliest",
  placeholder: "N",
  fallback: 0,
  minimum: 0,
  maximum: 100,
  whole: false,
};
const TOP_P: NumberFlag = {
  flag: "--top-p",
  description: "share that the likeliest tokens have together, from which is sampled",
  placeholder: "N",
  fallback: 1,
  minimum: 0,
  excludesMinimum: true,
  maximum: 1,
  whole: false,
};
const SEED: NumberFlag = {
  flag: "--seed",
  description: "seed of the sampling",
  placeholder: "N",
  fallback: 0,
  minimum: 0,
  maximum: 2 ** 32 - 1,
  whole: true,
};

/** The command with all its flags. */
export function generateCommand(): AnyCommand {
  const command = makeCommand(
    "generate",
    "Answers a prompt, or a conversation typed line by line.",
  );
  addKeyFlags(command, KEYS, WORDS);
  command.optionsGroup("Text:")
    .option("--prompt <TEXT>", "what to answer; without it standard input is read")
    .option("--raw", "continue the prompt as it is, without the model's chat template");
  for (const number of [MAX_NEW_TOKENS, TEMPERATURE, TOP_P, SEED]) addNumberFlag(command, number);
  return command;
}

type Answer = (prompt: Prompt) => Promise<string>;

/** Lines that a person types, without their ends, until the signal fires. */
async function* typedLines(signal: AbortSignal): AsyncGenerator<string> {
  const reader = Deno.stdin.readable.pipeThrough(new TextDecoderStream()).getReader();
  signal.addEventListener("abort", () => reader.cancel(), { once: true });
  try {
    let rest = "";
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      const lines = (rest + next.value).split("\n");
      rest = lines.pop() ?? "";
      yield* lines;
    }
    if (rest !== "") yield rest;
  } finally {
    // A read under way would keep the process.
    void reader.cancel();
  }
}

/** A conversation: each line is a turn, and an empty line ends it. */
async function chat(ui: Ui, answer: Answer, signal: AbortSignal): Promise<void> {
  const messages: Message[] = [];
  const ask = () => ui.write(ui.paint("cyan", "> "));
  ui.line("type a message; an empty line ends the conversation");
  ask();
  for await (const line of typedLines(signal)) {
    if (line.trim() === "") return;
    messages.push({ role: "user", content: line });
    try {
      messages.push({ role: "assistant", content: await answer({ messages }) });
    } catch (error) {
      if (!isSpielError(error) || error.kind !== "data") throw error;
      messages.pop();
      ui.warn(`${error.message}; the message was left out`);
    }
    if (signal.aborted) return;
    ask();
  }
}

/** The prompt of the flag or else of standard input; undefined for a conversation. */
async function promptOf(flag: unknown, raw: boolean): Promise<string | undefined> {
  if (flag === undefined && Deno.stdin.isTerminal() && !raw) return undefined;
  const typed = typeof flag === "string" ? flag : await new Response(Deno.stdin.readable).text();
  if (raw) return typed;
  if (typed.trim() === "") {
    const source = flag === undefined ? "standard input" : "--prompt";
    throw new SpielError(
      "usage",
      `${source} is empty; expected text to answer, or --raw to begin a text from nothing`,
    );
  }
  // The line break that ends a line of input is no part of a message.
  return flag === undefined ? typed.replace(/\r?\n$/, "") : typed;
}

/** Refuses flags that only say how to sample where nothing is sampled. */
function refuseWithoutSampling(options: Readonly<Record<string, unknown>>, temperature: number) {
  if (temperature > 0) return;
  const idle = Object.entries({ topP: TOP_P, seed: SEED })
    .filter(([name]) => options[name] !== undefined)
    .map(([, { flag }]) => flag);
  if (idle.length === 0) return;
  throw new SpielError(
    "usage",
    `${
      idle.join(" and ")
    } would change nothing: --temperature is 0, so that the likeliest token is always taken; ` +
      "give a --temperature above 0 to sample",
  );
}

/** Runs `generate`. */
export async function runGenerate(args: readonly string[]): Promise<void> {
  const options = parseFlags(generateCommand(), args);
  if (options === undefined) return;
  const { keys, ...numbers } = checkAll({
    keys: () => resolveKeys(KEYS, flagEntries(options, KEYS)),
    maxNewTokens: () => readNumberFlag(options, MAX_NEW_TOKENS),
    temperature: () => readNumberFlag(options, TEMPERATURE),
    topP: () => readNumberFlag(options, TOP_P),
    seed: () => readNumberFlag(options, SEED),
  });
  refuseWithoutSampling(options, numbers.temperature);
  const sampling = { raw: options["raw"] === true, ...numbers };
  const prompt = await promptOf(options["prompt"], sampling.raw);
  const ui = openUi(false);
  standardOutput.endWithReader();
  using interrupts = new Interrupts(() => {});
  const { signal } = interrupts;
  await using responder = await openResponder({
    ...keys,
    signal,
    ...shownDownloads(ui),
    onWarning: (text) => ui.warn(text),
  });
  const answer: Answer = async (prompt) => {
    let whole = "";
    for await (const text of responder.answer({ ...sampling, ...prompt, signal })) {
      whole += text;
      ui.write(text);
    }
    ui.line();
    return whole;
  };
  if (prompt === undefined) await chat(ui, answer, signal);
  else await answer({ prompt });
  if (signal.aborted) throw new SpielError("interrupted", "Interrupted while answering");
}
