/** Conversations: `{"messages": [{"role": "user", "content": "..."}, ...]}`. */
import { isObject } from "../../io/random_access.ts";
import { suggest } from "../../suggest.ts";
import type { Message } from "../chat_template.ts";
import { listed, type RecordFields, shown } from "./fields.ts";
import type { DataFormat } from "./format.ts";

/** Who speaks. A template that does not know a role passes over it, or prints it and teaches nothing of it. */
const ROLES = ["system", "developer", "user", "assistant", "tool"] as const;

/** What other collections of conversations call them. */
const OTHER_ROLES: Readonly<Record<string, string>> = {
  human: "user",
  gpt: "assistant",
  bot: "assistant",
  model: "assistant",
  chatgpt: "assistant",
  function: "tool",
  ipython: "tool",
  observation: "tool",
};

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
      throw record.error("there is no message of the assistant to learn from");
    }
    return { kind: "conversation", messages: conversation };
  },
};

function readMessage(record: RecordFields, message: unknown, index: number): Message {
  if (!isObject(message)) {
    throw record.error(`message ${index} is ${shown(message)}; expected an object`);
  }
  const role = readRole(record, message, index);
  const content = readContent(record, message, index);
  const calls = Array.isArray(message.tool_calls) && message.tool_calls.length > 0;
  if (content === null && !calls) {
    throw record.error(`message ${index} has no content; expected text`);
  }
  if (role === "assistant" && !calls && content?.trim() === "") {
    throw record.error(`message ${index}, of the assistant, is empty; expected text to learn from`);
  }
  return { ...message, role, content };
}

function readRole(record: RecordFields, message: Record<string, unknown>, index: number): string {
  const { role } = message;
  if (role === undefined) {
    const found = listed(Object.keys(message));
    throw record.error(`message ${index} has ${found}; expected role and content`);
  }
  if (typeof role === "string" && (ROLES as readonly string[]).includes(role)) return role;
  const meant = typeof role === "string" ? OTHER_ROLES[role] ?? suggest(role, ROLES) : undefined;
  const hint = meant === undefined ? "" : `; did you mean "${meant}"?`;
  throw record.error(
    `message ${index} has the role ${shown(role)}; expected ${ROLES.join(", ")}${hint}`,
  );
}

/** A string, text parts joined, or null for none. */
function readContent(
  record: RecordFields,
  { content }: Record<string, unknown>,
  index: number,
): string | null {
  if (typeof content === "string") return content;
  if (content === null || content === undefined) return null;
  const where = `the content of message ${index}`;
  if (!Array.isArray(content)) throw record.error(`${where} is ${shown(content)}; expected text`);
  return content.map((part) => {
    if (isObject(part) && part.type === "text" && typeof part.text === "string") return part.text;
    const found = isObject(part) && part.type !== "text" ? `type ${shown(part.type)}` : shown(part);
    throw record.error(`${where} has a part of ${found}; expected parts of type "text"`);
  }).join("");
}
