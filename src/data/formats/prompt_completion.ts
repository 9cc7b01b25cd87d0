/**
 * Pairs: `{"prompt": "...", "completion": "..."}`, both in text or both lists of messages; `tools` go with messages.
 */
import { readMessages } from "./conversation.ts";
import type { RecordFields } from "./fields.ts";
import type { DataFormat, Sample } from "./format.ts";
import { readTools } from "./tools.ts";

export const promptCompletion: DataFormat = {
  name: "prompt_completion",
  fields: ["prompt", "completion"],
  optional: ["tools"],
  read(record) {
    const [prompt, completion] = [record.value("prompt"), record.value("completion")];
    if (Array.isArray(prompt) && Array.isArray(completion)) return readPair(record);
    return {
      kind: "completion",
      prompt: record.string("prompt"),
      completion: record.lesson("completion"),
    };
  },
};

function readPair(record: RecordFields): Sample {
  const prompt = readMessages(record, "prompt");
  const completion = readMessages(record, "completion");
  if (!completion.some(({ role }) => role === "assistant")) {
    throw record.mismatch("completion", "a message of the assistant to learn from");
  }
  const tools = readTools(record);
  return {
    kind: "conversation",
    messages: [...prompt, ...completion],
    promptMessages: prompt.length,
    ...(tools !== undefined && { tools }),
  };
}
