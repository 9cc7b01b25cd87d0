/** `generate`: answers a prompt, or a conversation typed line by line, as the text comes. */

import {
  type ConfigKey,
  type Message,
  openResponder,
  type Prompt,
  resolveKeys,
  SpielError,
} from "../../mod.ts";
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
  readNumberFlag,
} from "../flags.ts";
import { Interrupts } from "../signals.ts";
import { openUi, type Ui } from "../ui.ts";

const KEYS = [
  "model",
  "adapter",
  "host",
  "device",
  "gpu",
  "allow_software",
  "native_library",
  "threads",
  "memory_budget",
] as const satisfies readonly ConfigKey[];

const WORDS: KeyWords = {
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
  description: "sample from the likeliest tokens that together have this share",
  placeholder: "N",
  fallback: 1,
  minimum: 0,
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
  let rest = "";
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    const lines = (rest + next.value).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  if (rest !== "") yield rest;
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
    messages.push({ role: "assistant", content: await answer({ messages }) });
    ask();
  }
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
  const sampling = { raw: options["raw"] === true, ...numbers };
  const ui = openUi(false);
  using interrupts = new Interrupts(() => {});
  const { signal } = interrupts;
  await using responder = await openResponder({
    ...keys,
    signal,
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
  const { prompt } = options;
  if (typeof prompt === "string") await answer({ prompt });
  else if (Deno.stdin.isTerminal() && !sampling.raw) await chat(ui, answer, signal);
  else await answer({ prompt: await new Response(Deno.stdin.readable).text() });
  if (signal.aborted) throw new SpielError("interrupted", "Interrupted while answering");
}
