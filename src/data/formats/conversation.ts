/** Reads lists of messages, naming the message on every failure. */
import { isObject } from "../../io/random_access.ts";
import { suggest } from "../../suggest.ts";
import type { Message } from "../chat_template.ts";
import { listed, type RecordFields, shown } from "./fields.ts";
import { checkWeight } from "./message_weight.ts";
import { parsedJson, readToolCalls } from "./tools.ts";

/** Who speaks. A template that does not know a role passes over it, or prints it and teaches nothing of it. */
export const ROLES = ["system", "developer", "user", "assistant", "tool"] as const;

/** What other collections of conversations call them. */
export const OTHER_ROLES: Readonly<Record<string, string>> = {
  human: "user",
  gpt: "assistant",
  bot: "assistant",
  model: "assistant",
  chatgpt: "assistant",
  function: "tool",
  function_response: "tool",
  ipython: "tool",
  observation: "tool",
};

/**
 * The messages of a field, of which at least one is the assistant's.
 *
 * @throws {RecordError} naming the field or message and what was expected.
 */
export function readConversation(record: RecordFields, field: string): Message[] {
  const messages = readMessages(record, field);
  if (!messages.some((message) => message.role === "assistant")) {
    throw record.error("there is no message of the assistant to learn from");
  }
  return messages;
}

/**
 * The messages of a field.
 *
 * @throws {RecordError} naming the field or message and what was expected.
 */
export function readMessages(record: RecordFields, field: string): Message[] {
  return messageList(record, field).map((message, index) => readMessage(record, message, index));
}

/**
 * The list of a field, whatever is in it. Tables without lists have it in JSON, and some an object of lists.
 *
 * @throws {RecordError} when it is none, or empty.
 */
export function messageList(record: RecordFields, field: string): unknown[] {
  const value = record.value(field);
  const list = typeof value === "string" ? parsedJson(value) : rowsOf(value) ?? value;
  if (Array.isArray(list) && list.length > 0) return list;
  throw record.mismatch(field, "a list of messages");
}

/** The objects of an object of lists of the same length; undefined for anything else. */
function rowsOf(value: unknown): Record<string, unknown>[] | undefined {
  if (!isObject(value)) return undefined;
  const columns = Object.entries(value);
  const length = columns[0]?.[1] instanceof Array ? columns[0][1].length : 0;
  const isEven = columns.every(([, list]) => Array.isArray(list) && list.length === length);
  if (!isEven) return undefined;
  return Array.from(
    { length },
    (_, row) => Object.fromEntries(columns.map(([name, list]) => [name, (list as unknown[])[row]])),
  );
}

/**
 * One message with `role` and `content`. What it has besides goes to the template, but for nulls: tables have them in
 * the place of what is absent, and a template would take them for being there.
 */
export function readMessage(record: RecordFields, message: unknown, index: number): Message {
  if (!isObject(message)) {
    throw record.error(`message ${index} is ${shown(message)}; expected an object`);
  }
  const role = readRole(record, message, index);
  const content = readContent(record, message, index);
  const calls = readToolCalls(record, message, index);
  if (content === null && calls === undefined) {
    throw record.error(`message ${index} has no content; expected text`);
  }
  if (role === "assistant" && calls === undefined && content?.trim() === "") {
    throw record.error(`message ${index}, of the assistant, is empty; expected text to learn from`);
  }
  if (role === "assistant") checkWeight(record, message, index);
  const { tool_calls: _, ...rest } = message;
  const known = Object.entries(rest).filter(([, value]) => value !== null);
  return {
    ...Object.fromEntries(known),
    role,
    content,
    ...(calls !== undefined && { tool_calls: calls }),
  };
}

function readRole(record: RecordFields, message: Record<string, unknown>, index: number): string {
  const { role } = message;
  if (role === undefined) {
    const found = listed(Object.keys(message));
    const hint = Object.hasOwn(message, "from") ? "; --format sharegpt reads from and value" : "";
    throw record.error(`message ${index} has ${found}; expected role and content${hint}`);
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
