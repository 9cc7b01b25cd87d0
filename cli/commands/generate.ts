/** `generate`: answers a prompt, or a conversation typed line by line, as the text comes. */

import { type ChatMessage, type ConfigKey, generateText, resolveKeys } from "../../mod.ts";
import {
  addKeyFlags,
  addNumberFlag,
  type AnyCommand,
  flagEntries,
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
  "native_library",
  "threads",
  "memory_budget",
] as const satisfies readonly ConfigKey[];

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
  addKeyFlags(command, KEYS);
  command.optionsGroup("Text:")
    .option("--prompt <TEXT>", "what to answer; without it standard input is read")
    .option("--raw", "continue the prompt as it is, without the model's chat template");
  for (const number of [MAX_NEW_TOKENS, TEMPERATURE, TOP_P, SEED]) addNumberFlag(command, number);
  return command;
}

type Prompt = { prompt: string } | { messages: readonly ChatMessage[] };
type Answer = (prompt: Prompt) => Promise<string>;

/** Lines that a person types, without their ends. */
async function* typedLines(): AsyncGenerator<string> {
  const decoder = new TextDecoderStream();
  let rest = "";
  for await (const text of Deno.stdin.readable.pipeThrough(decoder)) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  if (rest !== "") yield rest;
}

/** A conversation: each line is a turn, and an empty line ends it. */
async function chat(ui: Ui, answer: Answer): Promise<void> {
  const messages: ChatMessage[] = [];
  const ask = () => ui.write(ui.paint("cyan", "> "));
  ui.line("type a message; an empty line ends the conversation");
  ask();
  for await (const line of typedLines()) {
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
  const sampling = {
    raw: options["raw"] === true,
    maxNewTokens: readNumberFlag(options, MAX_NEW_TOKENS),
    temperature: readNumberFlag(options, TEMPERATURE),
    topP: readNumberFlag(options, TOP_P),
    seed: readNumberFlag(options, SEED),
  };
  const keys = resolveKeys(KEYS, flagEntries(options, KEYS));
  const ui = openUi(false);
  using interrupts = new Interrupts(() => {});
  const answer: Answer = async (prompt) => {
    let whole = "";
    for await (
      const text of generateText({ ...keys, ...sampling, ...prompt, signal: interrupts.signal })
    ) {
      whole += text;
      ui.write(text);
    }
    ui.line();
    return whole;
  };
  const { prompt } = options;
  if (typeof prompt === "string") await answer({ prompt });
  else if (Deno.stdin.isTerminal() && !sampling.raw) await chat(ui, answer);
  else await answer({ prompt: await new Response(Deno.stdin.readable).text() });
}
