/** Data sets: formats, masks, truncation and questions. What cannot be used: bad_examples_test.ts. */
import assert from "node:assert/strict";
import type { Dataset } from "../../../src/data/dataset.ts";
import { type DatasetOptions, loadDataset } from "../../../src/data/load_dataset.ts";
import { FORMATS } from "../../../src/data/formats/mod.ts";
import { loadTokenizer } from "../../../src/data/tokenizer.ts";
import { byteTokenizer } from "../../support/byte_tokenizer.ts";
import { assertRejects } from "../../support/refuses.ts";
import { shownExample } from "../../support/shown_example.ts";
import { withTempDir } from "../../support/temp_dir.ts";

const CHAT = byteTokenizer();
const PLAIN = byteTokenizer({ chatTemplate: null });

/** Writes records to a file and loads it. */
async function load(
  dir: string,
  records: readonly unknown[],
  options: Partial<DatasetOptions> = {},
): Promise<Dataset> {
  const path = `${dir}/data.jsonl`;
  const lines = records.map((record) =>
    typeof record === "string" ? record : JSON.stringify(record)
  );
  Deno.writeTextFileSync(path, lines.join("\n"));
  return await loadDataset({ paths: [path], tokenizer: CHAT, maxLength: 1000, ...options });
}

/** An example with its trained tokens in brackets. */
const shown = (dataset: Dataset, index: number, tokenizer = CHAT) =>
  shownExample(dataset.example(index), tokenizer);

const questionsOf = (dataset: Dataset) => Array.fromAsync(dataset.questions());

/** One record of each format, and what is trained of it with and without a chat template. */
const RECORDS: Record<string, { record: unknown; chat: string; plain: string | null }> = {
  messages: {
    record: {
      messages: [
        { role: "system", content: "s" },
        { role: "user", content: [{ type: "text", text: "q" }] },
        { role: "assistant", content: "a" },
        { role: "user", content: "r" },
      ],
    },
    chat: "<|turn|>system\ns<|end|>\n<|turn|>user\nq<|end|>\n<|turn|>assistant\n[a<|end|>]",
    plain: null,
  },
  sharegpt: {
    record: { conversations: [{ from: "human", value: "q" }, { from: "gpt", value: "a" }] },
    chat: "<|turn|>user\nq<|end|>\n<|turn|>assistant\n[a<|end|>]",
    plain: null,
  },
  prompt_completion: {
    record: { prompt: "the q", completion: " the a" },
    chat: "<|turn|>user\nthe q<|end|>\n<|turn|>assistant\n[ the a<|end|>]",
    plain: "the q[ the a</s>]",
  },
  alpaca: {
    record: { instruction: "do", input: "x", output: "a" },
    chat: "<|turn|>user\ndo\n\nx<|end|>\n<|turn|>assistant\n[a<|end|>]",
    plain:
      "Below is an instruction that describes a task, paired with an input that provides further context. " +
      "Write a response that appropriately completes the request.\n\n### Instruction:\ndo\n\n### Input:\nx\n\n" +
      "### Response:[a</s>]",
  },
  // Nothing stands before the first token that it could be predicted from.
  text: { record: { text: "the words" }, chat: "the[ words</s>]", plain: "the[ words</s>]" },
};

Deno.test("every format is detected and trains what it should", () =>
  withTempDir(async (dir) => {
    assert.deepEqual(Object.keys(RECORDS), FORMATS.map(({ name }) => name));
    for (const [name, { record, chat, plain }] of Object.entries(RECORDS)) {
      for (const format of ["auto", name]) {
        assert.equal(shown(await load(dir, [record], { format }), 0), chat);
        const withoutTemplate = () => load(dir, [record], { format, tokenizer: PLAIN });
        if (plain === null) {
          await assertRejects(withoutTemplate, "data", `${dir}/data.jsonl:1`, "no chat template");
        } else {
          assert.equal(shown(await withoutTemplate(), 0, PLAIN), plain);
        }
      }
    }
  }));

Deno.test("fields are found by their mapped names", () =>
  withTempDir(async (dir) => {
    const map = { prompt: "question", completion: "answer" };
    const dataset = await load(dir, [{ question: "q", answer: "a", text: 1 }], { map });
    assert.match(shown(dataset, 0), /\[a<\|end\|>\]$/);
    assert.equal((await questionsOf(dataset))[0]?.completion, "a");
  }));

Deno.test("a text that ends with the end token gets no second one", () =>
  withTempDir(async (dir) => {
    assert.equal(shown(await load(dir, [{ text: "x</s>" }]), 0), "x[</s>]");
  }));

Deno.test("a token that begins in the prompt is not trained", () =>
  withTempDir(async (dir) => {
    const records = [{ prompt: "t", completion: "he a" }];
    const dataset = await load(dir, records, { tokenizer: PLAIN });
    assert.equal(shown(dataset, 0, PLAIN), "the[ a</s>]");
  }));

Deno.test("long examples are cut and counted", () =>
  withTempDir(async (dir) => {
    const records = [{ text: "x".repeat(50) }, { text: "short" }];
    const dataset = await load(dir, records, { maxLength: 20 });
    assert.deepEqual(dataset.counts, {
      examples: 2,
      tokens: 20 + 6,
      targetTokens: 19 + 5,
      truncatedExamples: 1,
      truncatedTokens: 31,
    });
    assert.equal(dataset.longest, 20);
    assert.deepEqual(dataset.countsOfFirst(1), {
      examples: 1,
      tokens: 20,
      targetTokens: 19,
      truncatedExamples: 1,
      truncatedTokens: 31,
    });
    assert.equal(dataset.example(0).truncatedTokens, 31);
  }));

Deno.test("all that is cut off counts, also what stood before the limit", () =>
  withTempDir(async (dir) => {
    const messages = [
      { role: "user", content: "q" },
      { role: "assistant", content: "a" },
      { role: "user", content: "r".repeat(50) },
      { role: "assistant", content: "b" },
    ];
    const whole = await load(dir, [{ messages }]);
    const cut = await load(dir, [{ messages }], { maxLength: 60 });
    assert.match(shown(cut, 0), /assistant\n\[a<\|end\|>\]$/);
    assert.ok(cut.longest < 40, `${cut.longest}`);
    assert.equal(cut.counts.truncatedTokens, whole.longest - cut.longest);
  }));

Deno.test("answers without an end of their own are told, and what is done about it", () =>
  withTempDir(async (dir) => {
    const plain = "{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}" +
      "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}";
    const blocks =
      "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}";
    const record = { prompt: "q", completion: "xyz" };
    const noticeOf = async (
      chatTemplate: string,
      eosToken: string | null,
      one: unknown = record,
    ) => {
      const tokenizer = byteTokenizer({ chatTemplate, eosToken });
      return (await load(dir, [one], { tokenizer })).endNotice;
    };
    assert.match(await noticeOf(plain, "</s>") ?? "", /"<\/s>" is put behind the last answer/);
    assert.match(await noticeOf(plain, null) ?? "", /tokenizer has none .* will not learn to stop/);
    assert.match(await noticeOf(blocks, "</s>") ?? "", /generation %} blocks .* not learn to stop/);
    assert.equal(await noticeOf(plain, "</s>", { text: "no conversation" }), null);
    assert.equal((await load(dir, [record])).endNotice, null);
    assert.equal((await load(dir, [record], { tokenizer: PLAIN })).endNotice, null);
  }));

Deno.test("a prompt is to be continued: the tokenizer's end token is not behind it", () =>
  withTempDir(async (dir) => {
    const token = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
    const single = [token("<s>"), { Sequence: { id: "A", type_id: 0 } }, token("</s>")];
    const post_processor = { type: "TemplateProcessing", single, pair: [], special_tokens: {} };
    const tokenizer = byteTokenizer({ chatTemplate: null }, { post_processor });
    const dataset = await load(dir, [{ prompt: "q", completion: "a" }], { tokenizer });
    assert.equal(tokenizer.decode((await questionsOf(dataset))[0]!.promptIds), "<s>q");
    assert.equal(shown(dataset, 0, tokenizer), "<s>q[a</s>]");
  }));

Deno.test("what follows the last trained token is left out", () =>
  withTempDir(async (dir) => {
    const record = RECORDS.messages!.record;
    const whole = await load(dir, [record]);
    assert.equal(whole.counts.truncatedTokens, 0);
    // Cut inside the user's last turn, which was left out already.
    const cut = await load(dir, [record], { maxLength: whole.lengthOf(0) });
    assert.deepEqual([cut.lengthOf(0), cut.counts.truncatedExamples], [whole.lengthOf(0), 0]);
  }));

Deno.test("questions prompt the model as it was trained", () =>
  withTempDir(async (dir) => {
    const records = [
      { messages: [{ role: "user", content: "q" }, { role: "assistant", content: "a" }] },
      RECORDS.messages!.record,
    ];
    const dataset = await load(dir, records);
    const prompt = "<|turn|>user\nq<|end|>\n<|turn|>assistant\n";
    // The other one does not end with the assistant.
    assert.deepEqual(await questionsOf(dataset), [
      { prompt, promptIds: CHAT.encode(prompt), completion: "a" },
    ]);
    const [pair, text] = [RECORDS.prompt_completion!.record, RECORDS.text!.record];
    const plain = await load(dir, [pair], { tokenizer: PLAIN });
    assert.equal((await questionsOf(plain))[0]?.prompt, "the q");
    assert.deepEqual(await questionsOf(await load(dir, [text])), []);
  }));

Deno.test("questions of a file that has changed since are refused", () =>
  withTempDir(async (dir) => {
    const path = `${dir}/data.jsonl`;
    const dataset = await load(dir, [{ prompt: "1+1=", completion: "2" }]);
    Deno.writeTextFileSync(path, JSON.stringify({ prompt: "9+9=", completion: "18" }));
    await assertRejects(() => questionsOf(dataset), "data", path, "was changed");
  }));

Deno.test("several files are taken in order, each in its own format", () =>
  withTempDir(async (dir) => {
    Deno.writeTextFileSync(`${dir}/a.jsonl`, `\n{"text":"ab"}\n`);
    Deno.writeTextFileSync(`${dir}/b.jsonl`, `{"prompt":"p","completion":"c"}`);
    const paths = [`${dir}/a.jsonl`, `${dir}/b.jsonl`];
    const dataset = await loadDataset({ paths, tokenizer: CHAT, maxLength: 99 });
    assert.deepEqual([dataset.origin(0), dataset.origin(1)], [`${paths[0]}:2`, `${paths[1]}:1`]);
    assert.deepEqual((await questionsOf(dataset)).map(({ completion }) => completion), ["c"]);
  }));

Deno.test("equal examples are told in whatever format they come", () =>
  withTempDir(async (dir) => {
    const pairs = Array.from({ length: 40 }, (_, i) => [`question ${i}`, `answer ${i}`] as const);
    const [user, assistant] = [{ role: "user" }, { role: "assistant" }];
    const writers: ((q: string, a: string) => unknown)[] = [
      (prompt, completion) => ({ prompt, completion }),
      (instruction, output) => ({ output, instruction, input: "" }),
      (q, a) => ({ messages: [{ ...user, content: q }, { content: a, ...assistant }] }),
      (q, a) => ({ conversations: [{ from: "human", value: q }, { from: "gpt", value: a }] }),
      (q, a) => ({
        prompt: [{ content: q, ...user }],
        completion: [{ ...assistant, content: a, name: null }],
      }),
    ];
    const paths = writers.map((writer, i) => {
      const path = `${dir}/${i}.jsonl`;
      const lines = pairs.map((pair) => JSON.stringify(writer(...pair)));
      Deno.writeTextFileSync(path, lines.join("\n"));
      return path;
    });
    const dataset = await loadDataset({ paths, tokenizer: CHAT, maxLength: 1000 });
    const unique = dataset.withoutRepeats();
    assert.equal(unique.length, pairs.length);
    const { heldOut } = dataset.split(0.3);
    assert.equal(heldOut.length, writers.length * unique.split(0.3).heldOut.length);
    assert.ok(heldOut.length > 0);
    const said = (more: Record<string, unknown>) => ({
      messages: [{ ...user, content: "q" }, { ...assistant, content: "a", ...more }],
    });
    const thoughts = [said({}), said({ reasoning_content: "r" }), said({ reasoning_content: "s" })];
    assert.equal((await load(dir, thoughts)).withoutRepeats().length, 3);
  }));

Deno.test("examples that another data set has too are counted, each as often as it is there", () =>
  withTempDir(async (dir) => {
    const texts = (...words: string[]) => load(dir, words.map((text) => ({ text })));
    const heldOut = await texts("a", "b", "b", "c");
    assert.equal(heldOut.sharedWith(await texts("b", "b", "b", "d", "a")), 3);
    assert.equal(heldOut.sharedWith(heldOut), 4);
    assert.equal(heldOut.sharedWith(await texts("d")), 0);
    const { train, heldOut: half } = (await texts("a", "b", "a", "c", "d", "e", "e")).split(0.5);
    assert.ok(train.length > 0 && half.length > 0);
    assert.equal(half.sharedWith(train), 0);
  }));

Deno.test("the fingerprint sees tokens and masks", () =>
  withTempDir(async (dir) => {
    const of = async (records: unknown[], options = {}) =>
      (await load(dir, records, options)).fingerprint;
    const first = await of([{ text: "ab" }, { text: "c" }]);
    assert.match(first, /^[0-9a-f]{64}$/);
    assert.equal(await of(['{ "text": "ab" }', { text: "c", more: 1 }]), first);
    assert.notEqual(await of([{ text: "a" }, { text: "bc" }]), first);
    const plain = { tokenizer: PLAIN };
    assert.notEqual(
      await of([{ prompt: "ab", completion: "c" }], plain),
      await of([{ text: "abc" }], plain),
    );
  }));

Deno.test("loading stops when asked", () =>
  withTempDir(async (dir) => {
    const records = Array.from({ length: 600 }, () => ({ text: "abc" }));
    const seen: number[] = [];
    const abort = new AbortController();
    const onProgress = (examples: number) => {
      seen.push(examples);
      abort.abort();
    };
    const { signal } = abort;
    await assertRejects(() => load(dir, records, { signal, onProgress }), "interrupted");
    assert.deepEqual(seen, [256]);
  }));

Deno.test({
  name: "real data is read whole with a real tokenizer",
  ignore: !Deno.env.get("SPIEL_MODELS") || !Deno.env.get("SPIEL_DATA"),
  async fn() {
    const model = `${Deno.env.get("SPIEL_MODELS")}/SmolLM2-135M-Instruct.Q4_1.gguf`;
    const dataset = await loadDataset({
      paths: [`${Deno.env.get("SPIEL_DATA")}/gsm8k/train.jsonl`],
      tokenizer: loadTokenizer(model),
      maxLength: 512,
      map: { prompt: "question", completion: "answer" },
    });
    assert.deepEqual(dataset.counts, {
      examples: 7473,
      tokens: 1612670,
      targetTokens: 938148,
      truncatedExamples: 7,
      truncatedTokens: 213,
    });
    const END_OF_TURN = 2;
    for (let i = 0; i < dataset.length; i++) {
      const { ids, trained, truncatedTokens } = dataset.example(i);
      const first = trained.indexOf(1);
      assert.ok(trained.subarray(first).every((flag) => flag === 1), "one answer, trained whole");
      assert.equal(truncatedTokens > 0 || ids.at(-1) === END_OF_TURN, true);
    }
  },
});
