/** What is trained of a conversation in the shapes of twelve public chat templates, against masks written by hand. */
import assert from "node:assert/strict";
import { ExampleEncoder } from "../../../src/data/example.ts";
import type { Message, Tool } from "../../../src/data/chat_template.ts";
import { parseRecord } from "../../../src/data/files/parse_record.ts";
import { RecordFields } from "../../../src/data/formats/fields.ts";
import { messages as messagesFormat } from "../../../src/data/formats/messages.ts";
import type { Sample } from "../../../src/data/formats/mod.ts";
import type { Tokenizer } from "../../../src/data/tokenizer.ts";
import type { TrainOn } from "../../../src/data/train_on.ts";
import { byteTokenizer, byteTokenizerParts } from "../../support/byte_tokenizer.ts";
import { assertRefuses } from "../../support/refuses.ts";
import { CONVERSATION, type TemplateCase, TEMPLATES } from "./public_templates.ts";

/** One token a byte but for a few words, and the special tokens of a template. */
function tokenizerOf({ source, specialTokens }: TemplateCase): Tokenizer {
  const [bosToken, eosToken] = specialTokens;
  const { json } = byteTokenizerParts();
  const size = Object.keys((json.model as { vocab: object }).vocab).length;
  const added_tokens = specialTokens.map((content, i) => ({
    id: size + i,
    content,
    special: true,
    normalized: false,
  }));
  return byteTokenizer({ bosToken, eosToken, chatTemplate: source }, { added_tokens });
}

function encoded(
  tokenizer: Tokenizer,
  messages: readonly Message[],
  trainOn?: TrainOn,
  tools?: Tool[],
) {
  const known = tools === undefined ? {} : { tools };
  const sample: Sample = { kind: "conversation", messages: [...messages], ...known };
  return new ExampleEncoder(tokenizer, trainOn).encode(sample, "data.jsonl:1", 10_000);
}

/** The text, with marks around what is trained. */
function marked(...args: Parameters<typeof encoded>): string {
  const [tokenizer] = args;
  const { ids, trained } = encoded(...args);
  let text = "";
  for (let i = 0; i < ids.length;) {
    let end = i + 1;
    while (end < ids.length && trained[end] === trained[i]) end++;
    const stretch = tokenizer.decode(ids.subarray(i, end));
    text += trained[i] === 1 ? `⟦${stretch}⟧` : stretch;
    i = end;
  }
  return text;
}

/** What is expected up to its last trained token: nothing behind that could teach anything. */
const untilLastTrained = (text: string) => text.slice(0, text.lastIndexOf("⟧") + 1);

for (const template of TEMPLATES) {
  const tokenizer = tokenizerOf(template);
  Deno.test(`${template.name}: answers and their ends are trained, and nothing else`, () => {
    assert.equal(marked(tokenizer, CONVERSATION), untilLastTrained(template.marked));
  });

  Deno.test(`${template.name}: the ids are those of the whole text`, () => {
    const text = untilLastTrained(template.marked).replaceAll(/[⟦⟧]/g, "");
    const whole = tokenizer.encode(text, { addSpecialTokens: false });
    assert.deepEqual(encoded(tokenizer, CONVERSATION).ids, whole);
  });

  Deno.test(`${template.name}: the last answer alone`, () => {
    const last = template.marked.lastIndexOf(template.marked.match(/⟦[^⟦]*⟧(?=[^⟦]*$)/)![0]);
    const expected = template.marked.slice(0, last).replaceAll(/[⟦⟧]/g, "") +
      untilLastTrained(template.marked).slice(last);
    assert.equal(marked(tokenizer, CONVERSATION, "last"), expected);
  });
}

const templateOf = (name: string) => TEMPLATES.find((template) => template.name === name)!;

Deno.test("calls of tools are trained, behind what is said with them; what tools answer is not", () => {
  const call = { type: "function", function: { name: "mix", arguments: { of: ["red", "blue"] } } };
  const messages: Message[] = [
    { role: "user", content: "Mix red and blue." },
    { role: "assistant", content: "Let me see.", tool_calls: [call] },
    { role: "tool", content: "violet" },
    { role: "assistant", content: null, tool_calls: [call, call] },
    { role: "tool", content: "violet" },
    { role: "assistant", content: "Violet." },
  ];
  const tools = [{ type: "function", function: { name: "mix" } }];
  const called = '<tool_call>\n{"name": "mix", "arguments": {"of": ["red", "blue"]}}\n</tool_call>';
  const answered = "<|im_start|>user\n<tool_response>\nviolet\n</tool_response><|im_end|>\n";
  const expected = "<|im_start|>system\nYou are a helpful assistant.\n\n# Tools\n" +
    '{"type": "function", "function": {"name": "mix"}}<|im_end|>\n' +
    "<|im_start|>user\nMix red and blue.<|im_end|>\n" +
    `<|im_start|>assistant\n⟦Let me see.\n${called}<|im_end|>⟧\n${answered}` +
    `<|im_start|>assistant\n⟦${called}\n${called}<|im_end|>⟧\n${answered}` +
    "<|im_start|>assistant\n⟦Violet.<|im_end|>⟧";
  const tokenizer = tokenizerOf(templateOf("Qwen"));
  assert.equal(marked(tokenizer, messages, "assistant", tools), expected);
  // All of them follow the last question.
  assert.equal(marked(tokenizer, messages, "completion", tools), expected);
});

Deno.test("a call's numbers are trained as they are written", () => {
  const written = '{"id": 12345678901234567890, "of": [1.0, 1e400, -0, 7], "x": 0.10}';
  for (const given of [JSON.stringify(written), written]) {
    const record = parseRecord(
      `{"messages":[{"role":"user","content":"Mix."},{"role":"assistant","content":null,"tool_calls":[` +
        `{"type":"function","function":{"name":"mix","arguments":${given}}}]}],` +
        `"tools":[{"type":"function","function":{"name":"mix","most":1.0}}]}`,
      "data.jsonl:1",
    );
    const sample = messagesFormat.read(new RecordFields("data.jsonl:1", record, {}));
    assert.ok(sample.kind === "conversation");
    const tokenizer = tokenizerOf(templateOf("Qwen"));
    const text = marked(tokenizer, sample.messages, "assistant", sample.tools as Tool[]);
    assert.ok(text.includes(`{"name": "mix", "arguments": ${written}}`), text);
    assert.ok(text.includes('"most": 1.0'), text);
    // Examples are told apart by what JSON says of them.
    assert.ok(JSON.stringify(sample).includes('"of":[1.0,1e400,-0,7]'));
  }
  assertRefuses(
    () => {
      const record = parseRecord('{"messages":2.0,"tools":[]}', "data.jsonl:1");
      messagesFormat.read(new RecordFields("data.jsonl:1", record, {}));
    },
    "data",
    'data.jsonl:1: field "messages" is 2.0; expected a list of messages',
  );
});

Deno.test("tools that a template does not tell of are refused", () => {
  const tokenizer = tokenizerOf(templateOf("Zephyr"));
  assertRefuses(
    () => encoded(tokenizer, CONVERSATION, "assistant", [{ name: "mix" }]),
    "data",
    "data.jsonl:1: The chat template does not tell the model of tools, of which there is 1",
  );
});

Deno.test("a system goes where the template puts it, and is not trained", () => {
  const messages = [{ role: "system", content: "Be brief." }, ...CONVERSATION.slice(0, 2)];
  assert.equal(
    marked(tokenizerOf(templateOf("Llama 2")), messages),
    "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nName a colour. [/INST]⟦ Blue. </s>⟧",
  );
  assert.equal(
    marked(tokenizerOf(templateOf("SmolLM2")), messages),
    "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nName a colour.<|im_end|>\n" +
      "<|im_start|>assistant\n⟦Blue.<|im_end|>⟧",
  );
  assertRefuses(
    () => encoded(tokenizerOf(templateOf("Gemma")), messages),
    "data",
    "data.jsonl:1: The chat template refuses the conversation: no system",
  );
});
