/** Whole files looked at, and corrected copies in which every change is told. */
import assert from "node:assert/strict";
import { type DataChange, validateData, type ValidateOptions } from "../../../src/data/validate.ts";
import { byteTokenizer } from "../../support/byte_tokenizer.ts";
import { assertRejects } from "../../support/refuses.ts";
import { withTempDir } from "../../support/temp_dir.ts";

const said = (...messages: unknown[]) => ({ messages });
const user = { role: "user", content: "q" };
const answer = { role: "assistant", content: "a" };
const FINE = said(user, answer);

/** Validates lines with a copy beside them; returns that too. */
async function copyOf(dir: string, records: readonly unknown[], options: ValidateOptions = {}) {
  const path = `${dir}/data.jsonl`;
  const text = records.map((one) => typeof one === "string" ? one : JSON.stringify(one));
  Deno.writeTextFileSync(path, `${text.join("\n")}\n`);
  const changes: string[] = [];
  const onChange = ({ where, change }: DataChange) => {
    changes.push(`${where.slice(path.length + 1)}: ${change}`);
  };
  const write = `${dir}/copy.jsonl`;
  const found = await validateData(path, { ...options, write, onChange });
  const copy = Deno.readTextFileSync(write).split("\n").filter((line) => line !== "");
  Deno.removeSync(write);
  return { found, changes, copy: copy.map((line) => JSON.parse(line)) };
}

/** A bad record, what becomes of it (null: nothing), and what is told of that. */
const MENDED: [title: string, record: unknown, mended: unknown, ...changes: string[]][] = [
  [
    "roles in other words and letters",
    said({ role: "Human", content: "q" }, { role: "gpt", content: "a" }),
    FINE,
    '2: messages, message 0: the role "Human" is now "user"',
    '2: messages, message 1: the role "gpt" is now "assistant"',
  ],
  [
    "the other format's names",
    said({ from: "user", value: "q" }, { from: "assistant", value: "a", weight: 1 }),
    said(user, { weight: 1, ...answer }),
    "2: messages, message 0: from and value are now role and content",
    "2: messages, message 1: from and value are now role and content",
  ],
  [
    "a number for a text",
    said({ role: "user", content: 5 }, answer),
    said({ role: "user", content: "5" }, answer),
    '2: messages, message 0: 5 is now the text "5"',
  ],
  [
    "an empty answer at the end",
    said(user, answer, user, { role: "assistant", content: " " }),
    said(user, answer, user),
    "2: messages, message 3: empty, and left out",
  ],
  [
    "half a character",
    '{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a\\ud800"}]}',
    said(user, { role: "assistant", content: "a\uFFFD" }),
    "2: messages.1.content: halves of characters are now U+FFFD",
  ],
  ["cut JSON", "{", null, "2: left out: not valid JSON: Expected property name or '}' at column 2"],
  ["nobody's answer", said(user), null, "2: left out: there is no message of the assistant"],
  [
    "an unknown role",
    said({ role: "me", content: "" }),
    null,
    '2: left out: message 0 has the role "me"',
  ],
  [
    "what is too long",
    said({ role: "user", content: "q".repeat(99) }, answer),
    null,
    "2: left out: none of the first 64 tokens is trained",
  ],
];

for (const [title, record, mended, ...told] of MENDED) {
  Deno.test(`a corrected copy: ${title}`, () =>
    withTempDir(async (dir) => {
      const options = { tokenizer: byteTokenizer(), maxLength: 64 };
      const { found, changes, copy } = await copyOf(dir, [FINE, record, FINE], options);
      assert.deepEqual(copy, mended === null ? [FINE, FINE] : [FINE, mended, FINE]);
      assert.equal(changes.length, told.length);
      for (const [i, words] of told.entries()) assert.ok(changes[i]!.startsWith(words), changes[i]);
      const { records, badRecords, corrected } = found;
      assert.deepEqual([records, badRecords, corrected], [3, 1, mended === null ? 0 : 1]);
      // What was written is right as it is.
      const again = await copyOf(dir, copy, options);
      assert.deepEqual([again.found.refusal, again.changes], [null, []]);
    }));
}

Deno.test("what is right is copied as it is, whatever else it has", () =>
  withTempDir(async (dir) => {
    const records = [{ question: "q", answer: "a", id: 7, tags: ["x"] }];
    const map = { prompt: "question", completion: "answer" };
    const { found, changes, copy } = await copyOf(dir, records, { map });
    assert.deepEqual([copy, changes, found.refusal], [records, [], null]);
    assert.deepEqual([found.kind, found.format], ["JSON Lines", "prompt_completion"]);
  }));

Deno.test("numbers are copied as they are written, in right records and in corrected ones", () =>
  withTempDir(async (dir) => {
    const rest = '"id":12345678901234567890,"score":1.0,"10":1,"low":2}';
    const good = `{"prompt":"p","completion":"c",${rest}`;
    const path = `${dir}/data.json`;
    const spread = good.replaceAll(",", ",\n  ");
    Deno.writeTextFileSync(path, `[${spread},\n{"prompt":5.0,"completion":"c",${rest}]`);
    const write = `${dir}/copy.jsonl`;
    const changes: string[] = [];
    const onChange = ({ change }: DataChange) => void changes.push(change);
    await validateData(path, { write, onChange });
    const [first, second] = Deno.readTextFileSync(write).split("\n");
    assert.equal(first, good.replaceAll(",", ", "));
    assert.deepEqual(changes, ['prompt: 5.0 is now the text "5.0"']);
    assert.equal(
      second,
      '{"10":1,"prompt":"5.0","completion":"c","id":12345678901234567890,"score":1.0,"low":2}',
    );
    Deno.writeTextFileSync(`${dir}/lines.jsonl`, `\uFEFF${good}\r\n\n${good}\n`);
    Deno.removeSync(write);
    await validateData(`${dir}/lines.jsonl`, { write });
    assert.equal(Deno.readTextFileSync(write), `${good}\n${good}\n`);
  }));

Deno.test("half a character is seen without a model", () =>
  withTempDir(async (dir) => {
    const half = '"a\\ud800"';
    for (
      const record of [
        `{"text":${half}}`,
        `{"prompt":${half},"completion":"b"}`,
        `{"messages":[{"role":"assistant","content":${half}}]}`,
      ]
    ) {
      const path = `${dir}/data.jsonl`;
      Deno.writeTextFileSync(path, record);
      const { refusal } = await validateData(path, {});
      assert.match(refusal!.message, /data\.jsonl:1: its text has one half of a surrogate pair/);
    }
  }));

Deno.test("what a run would say is told, with all its places", () =>
  withTempDir(async (dir) => {
    const path = `${dir}/a.csv`;
    Deno.writeTextFileSync(path, "text\nfine\n" + '" "\nfine\n'.repeat(300));
    const { refusal, bad, badRecords, records } = await validateData(path, {});
    assert.deepEqual([records, badRecords, bad.length], [601, 300, 1]);
    assert.match(
      refusal!.message,
      /^300 of 601 .*:\n {2}- .*a\.csv:3, 5, 7.*and 290 more: field "text"/,
    );
  }));

Deno.test("a copy never takes the place of a file, and one that was stopped leaves nothing", () =>
  withTempDir(async (dir) => {
    const path = `${dir}/data.jsonl`;
    Deno.writeTextFileSync(path, `${JSON.stringify(FINE)}\n`.repeat(1000));
    await assertRejects(
      () => validateData(path, { write: path }),
      "usage",
      "exists; expected a new",
    );
    const { signal } = { signal: AbortSignal.abort() };
    const write = `${dir}/copy.jsonl`;
    await assertRejects(() => validateData(path, { write, signal }), "interrupted");
    assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name), ["data.jsonl"]);
  }));
