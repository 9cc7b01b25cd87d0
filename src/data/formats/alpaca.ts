/**
 * Instructions: `{"instruction": "...", "input": "...", "output": "...", "system": "..."}`, where the input and the
 * system's words may be empty or absent.
 *
 * A model with a chat template is asked the instruction, and the input below it. One without is asked in the text that
 * the format was published with (Stanford Alpaca, `PROMPT_DICT` in train.py), in which the system's words take the
 * place of the sentences that say what is to be done.
 */
import type { DataFormat } from "./format.ts";

export const alpaca: DataFormat = {
  name: "alpaca",
  fields: ["instruction", "output"],
  optional: ["input", "system"],
  read(record) {
    const instruction = record.lesson("instruction");
    const input = record.optionalString("input")?.trim() ?? "";
    const system = record.optionalString("system")?.trim() ?? "";
    return {
      kind: "completion",
      ...system !== "" && { system },
      prompt: input === "" ? instruction : `${instruction}\n\n${input}`,
      plainPrompt: alpacaText(system, instruction, input),
      completion: record.lesson("output"),
    };
  },
};

/** The published prompt, up to where the response begins. */
function alpacaText(system: string, instruction: string, input: string): string {
  const context = input === "" ? "" : ", paired with an input that provides further context";
  const section = input === "" ? "" : `### Input:\n${input}\n\n`;
  const published = `Below is an instruction that describes a task${context}. ` +
    `Write a response that appropriately completes the request.`;
  return `${system === "" ? published : system}\n\n` +
    `### Instruction:\n${instruction}\n\n${section}### Response:`;
}
