/** What may be mended of a record that cannot be used, without guessing what it should say. */
import { isObject } from "../io/random_access.ts";
import { OTHER_ROLES, ROLES } from "./formats/conversation.ts";
import type { FieldMap } from "./formats/fields.ts";
import { WrittenNumber } from "./written_json.ts";

type Json = Record<string, unknown>;

/** A way to mend. Changes what it is given, and tells each change in words. */
type Correction = (record: Json, nameOf: (field: string) => string) => string[];

/** Fields that hold messages, and those that hold text. */
const MESSAGES = ["messages", "conversations", "prompt", "completion"];
const TEXTS = ["prompt", "completion", "text", "instruction", "input", "output", "system"];

/** All corrections, in the order in which they are made. */
const CORRECTIONS: readonly Correction[] = [nameParts, nameRoles, writeTexts, endTurns, mendText];

/**
 * Makes every correction that there is something to do for.
 *
 * @param record Is changed.
 * @returns What was changed, in words.
 */
export function correct(record: Json, map: FieldMap): string[] {
  const nameOf = (field: string) => Object.hasOwn(map, field) ? map[field]! : field;
  return CORRECTIONS.flatMap((correction) => correction(record, nameOf));
}

/** ShareGPT's names of a message's parts, where the other format's are expected. */
function nameParts(record: Json, nameOf: (field: string) => string): string[] {
  const changes: string[] = [];
  for (const field of MESSAGES.filter((field) => field !== "conversations")) {
    for (const [index, message] of messagesOf(record, nameOf(field))) {
      if (!("from" in message) || "role" in message) continue;
      const { from, value, ...rest } = message;
      for (const key of Object.keys(message)) delete message[key];
      Object.assign(message, rest, { role: from, content: value });
      changes.push(`${field}, message ${index}: from and value are now role and content`);
    }
  }
  return changes;
}

/** Roles in other words or letters. */
function nameRoles(record: Json, nameOf: (field: string) => string): string[] {
  const changes: string[] = [];
  for (const field of MESSAGES) {
    for (const [index, message] of messagesOf(record, nameOf(field))) {
      const key = "role" in message ? "role" : "from";
      const role = message[key];
      if (typeof role !== "string" || isRole(role)) continue;
      const lower = role.trim().toLowerCase();
      const meant = isRole(lower) ? lower : OTHER_ROLES[lower];
      if (meant === undefined || (key === "from" && Object.hasOwn(OTHER_ROLES, role))) continue;
      message[key] = meant;
      changes.push(
        `${field}, message ${index}: the role ${JSON.stringify(role)} is now "${meant}"`,
      );
    }
  }
  return changes;
}

/** Numbers and truth values where text is expected. */
function writeTexts(record: Json, nameOf: (field: string) => string): string[] {
  const changes: string[] = [];
  const write = (holder: Json, key: string, what: string) => {
    const value = holder[key];
    const isNumber = typeof value === "number" || value instanceof WrittenNumber;
    if (!isNumber && typeof value !== "boolean") return;
    holder[key] = String(value);
    changes.push(`${what}: ${value} is now the text "${value}"`);
  };
  for (const field of TEXTS) write(record, nameOf(field), nameOf(field));
  for (const field of MESSAGES) {
    for (const [index, message] of messagesOf(record, nameOf(field))) {
      write(message, "from" in message ? "value" : "content", `${field}, message ${index}`);
    }
  }
  return changes;
}

/** Empty answers at the end, where there are others. */
function endTurns(record: Json, nameOf: (field: string) => string): string[] {
  const changes: string[] = [];
  for (const field of MESSAGES) {
    const list = record[nameOf(field)];
    if (!Array.isArray(list)) continue;
    while (list.length > 1 && isEmptyAnswer(list.at(-1))) {
      list.pop();
      changes.push(`${field}, message ${list.length}: empty, and left out`);
    }
  }
  return changes;
}

function isEmptyAnswer(message: unknown): boolean {
  if (!isObject(message) || "tool_calls" in message) return false;
  const content = message.content ?? message.value ?? "";
  const speaker = String(message.role ?? message.from);
  return typeof content === "string" && content.trim() === "" &&
    (speaker === "assistant" || OTHER_ROLES[speaker] === "assistant");
}

/** Halves of surrogate pairs, which no text can have. */
function mendText(record: Json): string[] {
  const changes: string[] = [];
  const visit = (holder: Json | unknown[], path: string) => {
    for (const [key, value] of Object.entries(holder)) {
      const place = path === "" ? key : `${path}.${key}`;
      if (typeof value === "object" && value !== null) visit(value as Json, place);
      if (typeof value !== "string" || value.isWellFormed()) continue;
      (holder as Json)[key] = value.toWellFormed();
      changes.push(`${place}: halves of characters are now U+FFFD`);
    }
  };
  visit(record, "");
  return changes;
}

function isRole(role: string): boolean {
  return (ROLES as readonly string[]).includes(role);
}

/** The messages of a field that are objects, with their indices. */
function messagesOf(record: Json, name: string): [index: number, message: Json][] {
  const list = record[name];
  if (!Array.isArray(list)) return [];
  return [...list.entries()].filter((entry): entry is [number, Json] => isObject(entry[1]));
}
