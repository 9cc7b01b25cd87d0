/** Conversations: `{"messages": [{"role": "user", "content": "..."}, ...]}`. */
import { isObject } from "../../io/random_access.ts";
import type { Message } from "../chat_template.ts";
import type { RecordFields } from "./fields.ts";
import type { DataFormat } from "./format.ts";

export const messages: DataFormat = {
  name: "messages",
  fields: ["messages"],
  read(record) {
    const list = record.value("messages");
    if (!Array.isArray(list) || list.length === 0) {
      throw record.mismatch("messages", "a list of messages");
    }
    const conversation = list.map((message, index) => readMessage(record, message, index));
    if (!conversation.some((message) => message.role === "assistant")) {
      throw record.mismatch("messages", "at least one message of the assistant, to learn from");
    }
    return { kind: "conversation", messages: conversation };
  },
};

function readMessage(record: RecordFields, message: unknown, index: number): Message {
  const where = `message ${index} to be`;
  if (!isObject(message)) {
    throw record.mismatch("messages", `${where} an object with role and content`);
  }
  if (typeof message.role !== "string") {
    throw record.mismatch("messages", `${where} given a role, such as "user" or "assistant"`);
  }
  const content = contentText(message.content);
  if (content === undefined || (content === null && !Array.isArray(message.tool_calls))) {
    throw record.mismatch("messages", `${where} given its content as a string`);
  }
  return { ...message, role: message.role, content };
}

/** A string, text parts joined, or null; undefined when it is none of these. */
function contentText(content: unknown): string | null | undefined {
  if (typeof content === "string") return content;
  if (content === null || content === undefined) return null;
  if (!Array.isArray(content)) return undefined;
  let text = "";
  for (const part of content) {
    if (!isObject(part) || part.type !== "text" || typeof part.text !== "string") return undefined;
    text += part.text;
  }
  return text;
}
