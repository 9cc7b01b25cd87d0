/** Examples that cannot be used: each reason with file, line and field, all of them at once, or left out. */
import assert from "node:assert/strict";
import type { Dataset } from "../../../src/data/dataset.ts";
import { type DatasetOptions, loadDataset } from "../../../src/data/load_dataset.ts";
import { byteTokenizer } from "../../support/byte_tokenizer.ts";
import { assertRejects } from "../../support/refuses.ts";
import { withTempDir } from "../../support/temp_dir.ts";

const CHAT = byteTokenizer();
const GOOD = { prompt: "p", completion: "c" };

/** Writes lines, objects as JSON, to a file and loads it. */
async function load(
  dir: string,
  lines: readonly unknown[],
  options: Partial<DatasetOptions> = {},
): Promise<Dataset> {
  const path = `${dir}/data.jsonl`;
  const text = lines.map((line) => typeof line === "string" ? line : JSON.stringify(line));
  Deno.writeTextFileSync(path, text.join("\n"));
  return await loadDataset({ paths: [path], tokenizer: CHAT, maxLength: 1000, ...options });
}

const said = (...messages: unknown[]) => ({ messages });
const asked = { role: "user", content: "q" };
const answered = (content: unknown, more = {}) => ({ role: "assistant", content, ...more });
const FINE = said(asked, answered("a"));

/** A good line, the bad one that follows it, and what is said of that. */
const BAD: [title: string, first: unknown, second: unknown, ...fragments: string[]][] = [
  ["no field", GOOD, { prompt: "p", id: 1 }, `field "completion" is missing`, `"prompt", "id"`],
  ["a number for a text", GOOD, { prompt: 3, completion: "c" }, `"prompt" is 3; expected text`],
  ["null for a text", GOOD, { prompt: "p", completion: null }, `"completion" is null`],
  [
    "an empty completion",
    GOOD,
    { prompt: "p", completion: "" },
    `"completion" is ""`,
    "learn from",
  ],
  ["a blank completion", GOOD, { prompt: "p", completion: " \n" }, `"completion" is " \\n"`],
  ["an empty text", { text: "fine" }, { text: "" }, `field "text" is ""`],
  ["half a character", { text: "fine" }, '{"text":"a\\ud83db"}', "one half of a surrogate pair"],
  ["cut JSON", GOOD, "{", "not valid JSON"],
  ["a trailing comma", GOOD, `{"prompt":"p",}`, "not valid JSON: Expected", "at column 15"],
  ["a list", GOOD, `["p","c"]`, "not a JSON object"],
  [
    "a field twice",
    GOOD,
    `{"prompt":"p","prompt":"q","completion":"c"}`,
    `"prompt" is given twice`,
  ],
  ["no messages", FINE, said(), "a list of messages"],
  ["text for messages", FINE, { messages: "x" }, "a list of messages"],
  ["nobody's answer", FINE, said(asked), "no message of the assistant"],
  ["a number for a message", FINE, said(3), "message 0 is 3; expected an object"],
  ["no role", FINE, said({ content: "x" }), `message 0 has the field "content"`, "expected role"],
  [
    "fields of another format",
    FINE,
    said({ from: "human", value: "x" }),
    `message 0 has the fields "from", "value"; expected role and content`,
  ],
  [
    "a mistyped role",
    FINE,
    said(asked, answered("a"), { role: "asistant", content: "b" }),
    `message 2 has the role "asistant"; expected system, developer, user, assistant, tool`,
    `did you mean "assistant"?`,
  ],
  ["a capital", FINE, said({ role: "User", content: "q" }), `did you mean "user"?`],
  ["a foreign role", FINE, said({ role: "human", content: "q" }), `did you mean "user"?`],
  ["a role that is none", FINE, said({ role: 7, content: "q" }), "message 0 has the role 7"],
  ["no answer", FINE, said(asked, { role: "assistant" }), "message 1 has no content"],
  ["null for an answer", FINE, said(asked, answered(null)), "message 1 has no content"],
  ["no calls", FINE, said(asked, answered(null, { tool_calls: [] })), "message 1 has no content"],
  ["an empty answer", FINE, said(asked, answered("")), "message 1, of the assistant, is empty"],
  ["a number for an answer", FINE, said(asked, answered(5)), "content of message 1 is 5"],
  [
    "an image",
    FINE,
    said({ role: "user", content: [{ type: "image_url" }] }),
    `the content of message 0 has a part of type "image_url"; expected parts of type "text"`,
  ],
  [
    "deep nesting",
    GOOD,
    `{"prompt":${"[".repeat(50_000)}${"]".repeat(50_000)},"completion":"c"}`,
    "it nests deeper than 100 levels",
  ],
];

for (const [title, first, second, ...fragments] of BAD) {
  Deno.test(`refuses ${title}`, () =>
    withTempDir((dir) =>
      assertRejects(() => load(dir, [first, second]), "data", `${dir}/data.jsonl:2: `, ...fragments)
    ));
}

Deno.test("an answer of tool calls alone is learnt", () =>
  withTempDir(async (dir) => {
    const calls = { tool_calls: [{ function: { name: "f", arguments: {} } }] };
    const template = "{% for m in messages %}{{ m['role'] }}:{% if m['tool_calls'] %}call" +
      "{% else %}{{ m['content'] }}{% endif %}<|end|>{% endfor %}";
    const tokenizer = byteTokenizer({ chatTemplate: template });
    const dataset = await load(dir, [said(asked, answered("", calls))], { tokenizer });
    assert.ok(dataset.counts.targetTokens > 0);
  }));

Deno.test("one reason is told once, with its lines", () =>
  withTempDir(async (dir) => {
    const empty = { prompt: "p", completion: "" };
    const refused = () => load(dir, [GOOD, empty, GOOD, empty, empty, "x"]);
    await assertRejects(
      refused,
      "data",
      "4 of 6 examples cannot be used; --skip-bad leaves out what cannot be used:\n",
      `\n  - ${dir}/data.jsonl:2, 4, 5: field "completion" is ""`,
      `\n  - ${dir}/data.jsonl:6: not valid JSON`,
    );
  }));

Deno.test("of many lines and reasons the first are told and the rest counted", () =>
  withTempDir(async (dir) => {
    const empty = Array.from({ length: 300 }, () => ({ prompt: "p", completion: "" }));
    const odd = Array.from({ length: 30 }, (_, n) => ({ prompt: n, completion: "c" }));
    const { bad, badExamples } = await load(dir, [GOOD, ...empty, ...odd], { bad: "skip" });
    assert.equal(badExamples, 330);
    assert.equal(bad.length, 10);
    assert.equal(bad[0]!.examples, 300);
    assert.equal(bad[0]!.where, `${dir}/data.jsonl:2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 290 more`);
    await assertRejects(() => load(dir, [GOOD, ...empty, ...odd]), "data", "- 21 more");
  }));

Deno.test("lines of several files are told apart", () =>
  withTempDir(async (dir) => {
    const paths = ["a", "b"].map((name) => `${dir}/${name}.jsonl`);
    const line = JSON.stringify({ prompt: "p", completion: "" });
    for (const path of paths) Deno.writeTextFileSync(path, `${line}\n${line}\n`);
    await assertRejects(
      () => loadDataset({ paths, tokenizer: CHAT, maxLength: 99 }),
      "data",
      `${paths[0]}:1, 2, ${paths[1]}:1, 2: field "completion"`,
    );
  }));

Deno.test("prompts that fill the length are counted, with the length that keeps them whole", () =>
  withTempDir(async (dir) => {
    const long = (length: number) => ({ prompt: "p".repeat(length), completion: "c" });
    const lines = [GOOD, long(60), long(80), GOOD];
    const maxLength = 48;
    const error = await load(dir, lines, { maxLength }).catch((error: Error) => error.message);
    assert.match(
      String(error),
      /data\.jsonl:2, 3: none of the first 48 tokens is trained.*--max-length (\d+) keeps every token/,
    );
    const needed = Number(/--max-length (\d+)/.exec(String(error))?.[1]);
    const whole = await load(dir, lines, { maxLength: needed });
    assert.deepEqual([whole.length, whole.counts.truncatedExamples], [4, 0]);
    const cut = await load(dir, lines, { maxLength: needed - 1 });
    assert.equal(cut.counts.truncatedExamples, 1, "one less cuts the longest");
  }));

Deno.test("what is left out does not change the rest", () =>
  withTempDir(async (dir) => {
    const good = [GOOD, { prompt: "q", completion: "d" }];
    const alone = await load(dir, good);
    const lines = ["{", good[0], { prompt: "p", completion: "" }, good[1], { text: "x" }];
    const dataset = await load(dir, lines, { bad: "skip" });
    assert.equal(dataset.fingerprint, alone.fingerprint);
    assert.equal(dataset.origin(1), `${dir}/data.jsonl:4`);
    const questions = await Array.fromAsync(dataset.questions());
    assert.equal(questions[1]?.completion, "d");
    assert.match(dataset.badNotice ?? "", /^left out 3 of 5 examples:\n {2}- .*:1: not valid/);
    assert.equal(alone.badNotice, null);
  }));

Deno.test("data of which nothing is left is refused, or reported", () =>
  withTempDir(async (dir) => {
    const lines = [{ prompt: "p", completion: "" }, { prompt: "p", completion: "" }];
    const skipped = () => load(dir, lines, { bad: "skip" });
    await assertRejects(skipped, "data", "2 of 2 examples cannot be used:\n", ":1, 2: field");
    const reported = await load(dir, lines, { bad: "report" });
    assert.deepEqual([reported.length, reported.badExamples, reported.longest], [0, 2, 0]);
  }));

Deno.test("what the template or the tokenizer cannot do is told with file and line", () =>
  withTempDir(async (dir) => {
    const plain = { tokenizer: byteTokenizer({ chatTemplate: null }) };
    await assertRejects(
      () => load(dir, [FINE], plain),
      "data",
      ":1: it is a conv",
      "chat template",
    );
    const calls = said(asked, answered(null, { tool_calls: [{ name: "f" }] }));
    const concatenates = byteTokenizer({ chatTemplate: "{{ messages[1]['content'] + '.' }}" });
    const withCalls = () => load(dir, [calls], { tokenizer: concatenates });
    await assertRejects(withCalls, "data", ":1: The chat template", "(message 1 has no content");
    const strict = byteTokenizer({ chatTemplate: "{{ raise_exception('no system') }}" });
    await assertRejects(() => load(dir, [FINE], { tokenizer: strict }), "data", ":1:", "no system");
    const lossy = byteTokenizer({}, {
      model: { type: "BPE", vocab: { a: 0 }, merges: [] },
      added_tokens: [],
    });
    const text = [{ text: "ab" }];
    await assertRejects(() => load(dir, text, { tokenizer: lossy }), "data", ":1", "not reproduce");
  }));
