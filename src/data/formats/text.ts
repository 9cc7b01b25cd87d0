/** Plain text: `{"text": "..."}`; all of it is learnt. */
import type { DataFormat } from "./format.ts";

export const text: DataFormat = {
  name: "text",
  fields: ["text"],
  read: (record) => ({ kind: "text", text: record.lesson("text") }),
};
