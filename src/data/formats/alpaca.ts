/**
 * Instructions: `{"instruction": "...", "input": "...", "output": "..."}`, where the input may be empty or absent.
 *
 * A model with a chat template is asked the instruction, and the input below it. One without is asked in the text that
 * the format was published with (Stanford Alpaca, `PROMPT_DICT` in train.py).
 */
import type { DataFormat } from "./format.ts";

export const alpaca: DataFormat = {
  name: "alpaca",
  fields: ["instruction", "output"],
  optional: ["input"],
  read(record) {
    const instruction = record.lesson("instruction");
    const input = record.optionalString("input")?.trim() ?? "";
    return {
      kind: "completion",
      prompt: input === "" ? instruction : `${instruction}\n\n${input}`,
      plainPrompt: alpacaText(instruction, input),
      completion: record.lesson("output"),
    };
  },
};

/** The published prompt, up to where the response begins. */
function alpacaText(instruction: string, input: string): string {
  const context = input === "" ? "" : ", paired with an input that provides further context";
  const section = input === "" ? "" : `### Input:\n${input}\n\n`;
  return `Below is an instruction that describes a task${context}. ` +
    `Write a response that appropriately completes the request.\n\n` +
    `### Instruction:\n${instruction}\n\n${section}### Response:`;
}
