/** What is told of a data set's tokens, and of a chat template, before anything is trained. */
import assert from "node:assert/strict";
import { cutNotice, reportOf } from "../../../src/data/data_report.ts";
import { loadDataset } from "../../../src/data/load_dataset.ts";
import { templateNotes } from "../../../src/data/template_notes.ts";
import { byteTokenizer, CHAT_TEMPLATE } from "../../support/byte_tokenizer.ts";
import { withTempDir } from "../../support/temp_dir.ts";

/** Texts of so many letters, each a token, with an end. */
async function load(dir: string, lengths: readonly number[], maxLength = 1000) {
  const path = `${dir}/data.jsonl`;
  const lines = lengths.map((length) => JSON.stringify({ text: "x".repeat(length - 1) }));
  Deno.writeTextFileSync(path, lines.join("\n"));
  return await loadDataset({ paths: [path], tokenizer: byteTokenizer(), maxLength });
}

Deno.test("lengths in bins, the median, the longest and how full micro-batches are", () =>
  withTempDir(async (dir) => {
    const dataset = await load(dir, [2, 10, 11, 20, 100]);
    const report = reportOf(dataset, byteTokenizer(), 100);
    assert.deepEqual(report.lengths.map(({ examples }) => examples), [
      2,
      2,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      1,
    ]);
    assert.deepEqual(report.lengths[1], { from: 11, to: 20, examples: 2 });
    assert.deepEqual([report.medianTokens, report.longestTokens], [11, 100]);
    // 143 tokens in two micro-batches of 100.
    assert.equal(report.filled, 143 / 200);
    assert.equal(report.unknownTokens, 0);
  }));

Deno.test("tokens that stand for what the vocabulary lacks are counted", () =>
  withTempDir(async (dir) => {
    const dataset = await load(dir, [5]);
    const { parts } = byteTokenizer();
    const id = dataset.example(0).ids[0]!;
    const json = { ...parts.json, added_tokens: [{ id, content: "<unk>" }] };
    const model = { ...parts.json.model as object, unk_token: "<unk>" };
    const tokenizer = { parts: { ...parts, json: { ...json, model } } };
    assert.equal(reportOf(dataset, tokenizer, 100).unknownTokens, 4);
  }));

Deno.test("what was cut is counted and listed, with the length that keeps all of it", () =>
  withTempDir(async (dir) => {
    const dataset = await load(dir, [5, 20, 9, 30], 10);
    assert.equal(
      cutNotice(dataset, 10),
      `max_length 10 cuts 2 of 4 examples, which lose 30 of their 50 tokens, behind the last turn that fits where ` +
        `one does: ` +
        `${dir}/data.jsonl:2, 4; max_length 30 keeps every token`,
    );
    assert.equal(cutNotice(await load(dir, [5, 10], 10), 10), null);
    const many = await load(dir, Array.from({ length: 50 }, () => 20), 10);
    assert.match(
      cutNotice(many, 10)!,
      /cuts 50 of 50 .*:1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 40 more;/,
    );
  }));

/** A template, and what is odd about it. */
const TEMPLATES: [title: string, source: string | null, ...words: RegExp[]][] = [
  ["nothing", `{{ bos_token }}${CHAT_TEMPLATE}`],
  ["no template", null, /has no chat template/],
  [
    "no request for an answer",
    "{% for m in messages %}{{ m.content }}{% endfor %}",
    /the same whether an answer is asked for or not/,
  ],
  [
    "words of its own",
    "{{ 'You are a model of so and so, and as helpful as can be' }}\n" + CHAT_TEMPLATE,
    /says something of its own: "You are a model of so and so/,
  ],
  ["a refusal", "{{ raise_exception('no') }}", /refuses the conversation: no/],
];

for (const [title, chatTemplate, ...words] of TEMPLATES) {
  Deno.test(`of a chat template is told: ${title}`, () => {
    const notes = templateNotes(byteTokenizer({ chatTemplate }));
    assert.equal(notes.length, words.length, notes.join());
    for (const [i, word] of words.entries()) assert.match(notes[i]!, word);
  });
}
