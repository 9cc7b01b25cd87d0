/** Conversations: `{"messages": [{"role": "user", "content": "..."}, ...], "tools": [...]}`; tools may be absent. */
import { readConversation } from "./conversation.ts";
import type { DataFormat } from "./format.ts";
import { readTools } from "./tools.ts";

export const messages: DataFormat = {
  name: "messages",
  fields: ["messages"],
  optional: ["tools"],
  read(record) {
    const tools = readTools(record);
    const conversation = readConversation(record, "messages");
    return { kind: "conversation", messages: conversation, ...(tools !== undefined && { tools }) };
  },
};
