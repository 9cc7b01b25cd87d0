/**
 * Conversations as ShareGPT has them: `{"conversations": [{"from": "human", "value": "..."}, {"from": "gpt", ...}]}`,
 * with `system` and `tools` beside them where the collection has these. Messages with role and content are taken too.
 */
import { isObject } from "../../io/random_access.ts";
import { suggest } from "../../suggest.ts";
import type { Message } from "../chat_template.ts";
import { messageList, OTHER_ROLES, readMessage } from "./conversation.ts";
import { type RecordFields, shown } from "./fields.ts";
import type { DataFormat } from "./format.ts";
import { checkWeight, weightOf } from "./message_weight.ts";
import { callOfText, readTools } from "./tools.ts";

/** The assistant's call of a function, as JSON in `value`. */
const FUNCTION_CALL = "function_call";

/** Roles by what `from` says. */
const SPEAKERS: Readonly<Record<string, string>> = {
  ...OTHER_ROLES,
  system: "system",
  user: "user",
  assistant: "assistant",
  tool: "tool",
};

export const sharegpt: DataFormat = {
  name: "sharegpt",
  fields: ["conversations"],
  optional: ["system", "tools"],
  read(record) {
    const list = messageList(record, "conversations");
    const tools = readTools(record);
    const system = record.optionalString("system") ?? "";
    const spoken = list.map((message, index) => readTurn(record, message, index));
    if (!spoken.some(({ role }) => role === "assistant")) {
      throw record.error("there is no message of the assistant to learn from");
    }
    if (system !== "" && spoken[0]?.role === "system") {
      throw record.error(`both the field "system" and message 0 are of the system; expected one`);
    }
    const first: Message[] = system === "" ? [] : [{ role: "system", content: system }];
    return {
      kind: "conversation",
      messages: [...first, ...spoken],
      ...(tools !== undefined && { tools }),
    };
  },
};

function readTurn(record: RecordFields, message: unknown, index: number): Message {
  if (!isObject(message) || !Object.hasOwn(message, "from")) {
    return readMessage(record, message, index);
  }
  const { from, value, ...rest } = message;
  if (from === FUNCTION_CALL && typeof value === "string") {
    checkWeight(record, rest, index);
    const calls = [callOfText(record, value, index)];
    return { ...weightOf(rest), role: "assistant", content: null, tool_calls: calls };
  }
  const role = typeof from === "string" && Object.hasOwn(SPEAKERS, from)
    ? SPEAKERS[from]
    : undefined;
  if (role !== undefined) return readMessage(record, { ...rest, role, content: value }, index);
  const meant = typeof from === "string" ? suggest(from, Object.keys(SPEAKERS)) : undefined;
  const hint = meant === undefined ? "" : `; did you mean "${meant}"?`;
  throw record.error(
    `message ${index} is from ${
      shown(from)
    }; expected human, gpt, system, tool, observation or function_call${hint}`,
  );
}
