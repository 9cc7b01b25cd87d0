/** Pairs: `{"prompt": "...", "completion": "..."}`; only the completion is learnt. */
import type { DataFormat } from "./format.ts";

export const promptCompletion: DataFormat = {
  name: "prompt_completion",
  fields: ["prompt", "completion"],
  read: (record) => ({
    kind: "completion",
    prompt: record.string("prompt"),
    completion: record.lesson("completion"),
  }),
};
