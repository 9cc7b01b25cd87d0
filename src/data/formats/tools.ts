/** Reads what the assistant may call, and what it calls. */
import { isObject } from "../../io/random_access.ts";
import { MAX_LEVELS, nestsDeeper } from "../../io/strict_json.ts";
import type { Tool } from "../chat_template.ts";
import { parseWritten, WrittenNumber } from "../written_json.ts";
import { type RecordFields, shown } from "./fields.ts";

/** A call that the assistant makes, as templates take it: beside its name and arguments, what else it has. */
type ToolCall = Record<string, unknown>;

/**
 * The tools of a record, a list or, as tables have it, a list in JSON; undefined without any.
 *
 * @throws {RecordError} naming the field and what was expected.
 */
export function readTools(record: RecordFields): Tool[] | undefined {
  const value = record.value("tools");
  const list = typeof value === "string" ? parsedJson(value, parseWritten) : value;
  if (list === undefined && typeof value !== "string" || list === null) return undefined;
  if (!Array.isArray(list) || !list.every(isObject)) {
    throw record.mismatch("tools", "a list of objects, or one in JSON");
  }
  return list.length === 0 ? undefined : list;
}

/**
 * The calls of one message; undefined without any. Arguments that are JSON in a text become what they say, as a
 * template that prints them as JSON would quote them twice.
 *
 * @throws {RecordError} naming the message and what was expected.
 */
export function readToolCalls(
  record: RecordFields,
  { tool_calls: calls }: Record<string, unknown>,
  index: number,
): ToolCall[] | undefined {
  if (calls === undefined || calls === null) return undefined;
  const where = `tool_calls of message ${index}`;
  if (!Array.isArray(calls)) throw record.error(`${where} is ${shown(calls)}; expected a list`);
  if (calls.length === 0) return undefined;
  return calls.map((call) => {
    if (!isObject(call)) throw record.error(`${where} has ${shown(call)}; expected an object`);
    if (!isObject(call.function)) return namedCall(record, call, where);
    return { ...call, function: namedCall(record, call.function, where) };
  });
}

/** A call with its arguments as an object. */
function namedCall(record: RecordFields, call: Record<string, unknown>, where: string): ToolCall {
  if (typeof call.name !== "string") {
    throw record.error(`${where} has a call whose name is ${shown(call.name)}; expected text`);
  }
  if (typeof call.arguments !== "string") return call;
  const values = parsedJson(call.arguments, parseWritten);
  if (isObject(values) && !(values instanceof WrittenNumber)) return { ...call, arguments: values };
  throw record.error(
    `${where} has a call whose arguments are ${shown(call.arguments)}; expected an object in JSON`,
  );
}

/** The call of a message whose whole content is one in JSON: `{"name": "...", "arguments": {...}}`. */
export function callOfText(record: RecordFields, text: string, index: number): ToolCall {
  const call = parsedJson(text, parseWritten);
  const where = `message ${index}`;
  if (!isObject(call)) {
    throw record.error(`${where}, a function call, is ${shown(text)}; expected an object in JSON`);
  }
  return { type: "function", function: namedCall(record, call, where) };
}

/** What JSON says; undefined where it is none, or nests deeper than a record may. */
export function parsedJson(text: string, parse: (text: string) => unknown = JSON.parse): unknown {
  try {
    const value = parse(text);
    return nestsDeeper(text, MAX_LEVELS) ? undefined : value;
  } catch {
    return undefined;
  }
}
