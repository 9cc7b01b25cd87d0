/** Data formats: what each makes of a record, which one a record is taken for and why, and what is refused. */
import assert from "node:assert/strict";
import {
  fittingFormat,
  FORMATS,
  formatsFor,
  RecordFields,
  type Sample,
} from "../../../src/data/formats/mod.ts";
import { assertRefuses } from "../../support/refuses.ts";

type Json = Record<string, unknown>;

const fieldsOf = (record: Json, map = {}) => new RecordFields("data.jsonl:3", record, map);

function read(name: string, record: Json): Sample {
  return formatsFor(name)[0]!.read(fieldsOf(record));
}

const user = { role: "user", content: "q" };
const answer = { role: "assistant", content: "a" };
const look = { name: "look", parameters: { type: "object" } };
const call = { type: "function", function: { name: "look", arguments: { at: "x" } } };
const callInText = {
  type: "function",
  function: { name: "look", arguments: '{"at":"x"}' },
};

const INSTRUCTED = "Below is an instruction that describes a task. " +
  "Write a response that appropriately completes the request.\n\n" +
  "### Instruction:\ndo\n\n### Response:";
const INSTRUCTED_WITH_INPUT =
  "Below is an instruction that describes a task, paired with an input that provides further context. " +
  "Write a response that appropriately completes the request.\n\n" +
  "### Instruction:\ndo\n\n### Input:\nx\n\n### Response:";

/** A record, the format that it is taken for, and what that makes of it. */
const READ: [title: string, record: Json, format: string, sample: Sample][] = [
  [
    "messages",
    { messages: [user, answer], id: 7 },
    "messages",
    { kind: "conversation", messages: [user, answer] },
  ],
  [
    "tool turns, with arguments in text and nulls for what is absent",
    {
      messages: [
        user,
        { role: "assistant", content: null, tool_calls: [callInText], tool_call_id: null },
        { role: "tool", content: "r", name: "look", tool_calls: null },
        { ...answer, tool_calls: [] },
      ],
      tools: JSON.stringify([look]),
    },
    "messages",
    {
      kind: "conversation",
      messages: [
        user,
        { role: "assistant", content: null, tool_calls: [call] },
        { role: "tool", content: "r", name: "look" },
        answer,
      ],
      tools: [look],
    },
  ],
  [
    "no tools",
    { messages: [user, answer], tools: [] },
    "messages",
    { kind: "conversation", messages: [user, answer] },
  ],
  [
    "ShareGPT's names",
    {
      system: "s",
      conversations: [
        { from: "human", value: "q" },
        { from: "function_call", value: '{"name":"look","arguments":{"at":"x"}}' },
        { from: "observation", value: "r" },
        { from: "gpt", value: "a", weight: 1 },
      ],
      tools: [look],
    },
    "sharegpt",
    {
      kind: "conversation",
      messages: [
        { role: "system", content: "s" },
        user,
        { role: "assistant", content: null, tool_calls: [call] },
        { role: "tool", content: "r" },
        { ...answer, weight: 1 },
      ],
      tools: [look],
    },
  ],
  [
    "conversations of role and content",
    { conversations: [{ from: "system", value: "s" }, user, answer] },
    "sharegpt",
    { kind: "conversation", messages: [{ role: "system", content: "s" }, user, answer] },
  ],
  [
    "a pair of texts",
    { prompt: "q", completion: "a" },
    "prompt_completion",
    { kind: "completion", prompt: "q", completion: "a" },
  ],
  [
    "a pair of messages",
    { prompt: [user], completion: [answer], tools: [look] },
    "prompt_completion",
    { kind: "conversation", messages: [user, answer], promptMessages: 1, tools: [look] },
  ],
  [
    "an instruction",
    { instruction: "do", output: "a", input: "" },
    "alpaca",
    { kind: "completion", prompt: "do", completion: "a", plainPrompt: INSTRUCTED },
  ],
  [
    "an instruction and its input",
    { instruction: "do", input: "x\n", output: "a", text: "all of it" },
    "alpaca",
    {
      kind: "completion",
      prompt: "do\n\nx",
      completion: "a",
      plainPrompt: INSTRUCTED_WITH_INPUT,
    },
  ],
  [
    "an instruction and what the system says",
    { system: "be brief", instruction: "do", output: "a" },
    "alpaca",
    {
      kind: "completion",
      system: "be brief",
      prompt: "do",
      completion: "a",
      plainPrompt: "be brief\n\n### Instruction:\ndo\n\n### Response:",
    },
  ],
  ["text", { text: "t" }, "text", { kind: "text", text: "t" }],
];

for (const [title, record, format, sample] of READ) {
  Deno.test(`reads ${title}`, () => {
    const fit = fittingFormat(FORMATS, fieldsOf(record));
    assert.equal(fit?.format.name, format);
    assert.deepEqual(read(format, record), sample);
  });
}

Deno.test("every format is read by a test", () => {
  const read = new Set(READ.map(([, , format]) => format));
  for (const { name } of FORMATS) assert.ok(read.has(name), name);
});

Deno.test("the reason for a format", () => {
  const why = (record: Json, map = {}, name = "auto") =>
    fittingFormat(formatsFor(name), fieldsOf(record, map))?.why;
  assert.equal(why({ text: "t" }), 'line 3 has the field "text"');
  assert.equal(
    why({ instruction: "i", output: "o", text: "t" }),
    'line 3 has the fields "instruction", "output"; it would fit text as well',
  );
  assert.equal(why({ text: "t", id: 1 }), 'line 3 has the field "text"; not read: the field "id"');
  assert.equal(
    why({ instruction: "i", output: "o", system: "s" }),
    'line 3 has the fields "instruction", "output"',
  );
  assert.equal(why({ body: "t" }, { text: "body" }), 'line 3 has the field "body"');
  assert.equal(
    why({ text: "t" }, {}, "text"),
    'named by --format; line 3 has the field "text"',
  );
});

/** A record, its format, and what is said of it. */
const REFUSED: [title: string, format: string, record: Json, ...fragments: string[]][] = [
  [
    "a role of ShareGPT's that is none",
    "sharegpt",
    {
      conversations: [{ from: "humn", value: "q" }],
    },
    `message 0 is from "humn"`,
    `did you mean "human"?`,
  ],
  ["an inherited name for a role", "sharegpt", {
    conversations: [{ from: "constructor", value: "q" }],
  }, `message 0 is from "constructor"; expected human`],
  [
    "a value that is no text",
    "sharegpt",
    { conversations: [{ from: "gpt", value: 3 }] },
    "content of message 0 is 3",
  ],
  ["nobody's answer", "sharegpt", {
    conversations: [{ from: "human", value: "q" }],
  }, "no message of the assistant"],
  ["two systems", "sharegpt", {
    system: "s",
    conversations: [{ from: "system", value: "q" }, { from: "gpt", value: "a" }],
  }, "expected one"],
  ["a call that is no JSON", "sharegpt", {
    conversations: [{ from: "function_call", value: "look(x)" }],
  }, `message 0, a function call, is "look(x)"; expected an object in JSON`],
  [
    "text for conversations",
    "sharegpt",
    { conversations: "x" },
    "conversations",
    "a list of messages",
  ],
  ["messages in ShareGPT's words", "messages", {
    messages: [{ from: "human", value: "q" }],
  }, "expected role and content; --format sharegpt"],
  [
    "tools that are no list",
    "messages",
    { messages: [user, answer], tools: "{" },
    `"tools" is "{"; expected a list`,
  ],
  [
    "a tool that is no object",
    "messages",
    { messages: [user, answer], tools: ["look"] },
    `"tools" is a list; expected`,
  ],
  ["calls that are no list", "messages", {
    messages: [user, { ...answer, tool_calls: "x" }],
  }, `tool_calls of message 1 is "x"; expected a list`],
  ["a call that is no object", "messages", {
    messages: [user, { ...answer, tool_calls: [1] }],
  }, "tool_calls of message 1 has 1; expected an object"],
  ["a call without a name", "messages", {
    messages: [user, { ...answer, tool_calls: [{ function: {} }] }],
  }, "a call whose name is undefined"],
  ["arguments that are no JSON", "messages", {
    messages: [user, { ...answer, tool_calls: [{ name: "look", arguments: "{" }] }],
  }, `a call whose arguments are "{"`],
  ["a prompt of messages without a completion of such", "prompt_completion", {
    prompt: [user],
    completion: "a",
  }, `"prompt" is a list; expected text`],
  ["a completion without the assistant", "prompt_completion", {
    prompt: [user],
    completion: [user],
  }, `"completion" is a list; expected a message of the assistant`],
  ["half a weight", "messages", {
    messages: [user, { ...answer, weight: 0.5 }],
  }, "message 1 has the weight 0.5; expected 1, or 0"],
  ["a weight in words", "sharegpt", {
    conversations: [{ from: "function_call", value: '{"name":"look"}', weight: "none" }],
  }, 'message 0 has the weight "none"; expected 1, or 0'],
  ["a number for whether to train", "messages", {
    messages: [user, { ...answer, train: 0 }],
  }, "message 1 has train: 0; expected true or false"],
  ["an empty output", "alpaca", { instruction: "i", output: " " }, `"output" is " "`],
  ["an empty instruction", "alpaca", { instruction: "", output: "o" }, `"instruction" is ""`],
  [
    "an input that is no text",
    "alpaca",
    { instruction: "i", input: 3, output: "o" },
    `"input" is 3`,
  ],
];

for (const [title, format, record, ...fragments] of REFUSED) {
  Deno.test(`refuses ${title}`, () =>
    assertRefuses(() => read(format, record), "data", "data.jsonl:3: ", ...fragments));
}
