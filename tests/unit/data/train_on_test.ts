/** What of an example is trained on by choice, and where one that is too long is cut. */
import assert from "node:assert/strict";
import { ExampleEncoder } from "../../../src/data/example.ts";
import { RecordFields } from "../../../src/data/formats/fields.ts";
import { messages as messagesFormat } from "../../../src/data/formats/messages.ts";
import { promptCompletion } from "../../../src/data/formats/prompt_completion.ts";
import type { Sample } from "../../../src/data/formats/mod.ts";
import { TRAIN_ON, type TrainOn } from "../../../src/data/train_on.ts";
import { WrittenNumber } from "../../../src/data/written_json.ts";
import { byteTokenizer } from "../../support/byte_tokenizer.ts";
import { assertRefuses } from "../../support/refuses.ts";
import { shownExample } from "../../support/shown_example.ts";

const CHAT = byteTokenizer();
const PLAIN = byteTokenizer({ chatTemplate: null });
const LINE =
  "{% for m in messages %}{{ m.role[0] }}:{% if m.role == 'assistant' %}{% generation %}" +
  "{{ m.content }}<|end|>{% endgeneration %}{% else %}{{ m.content }}{% endif %}{{ '\n' }}{% endfor %}";
const BLOCKS = byteTokenizer({ chatTemplate: LINE });

function shown(
  sample: Sample,
  trainOn: TrainOn,
  { tokenizer = CHAT, maxLength = 1000 } = {},
): string {
  const encoder = new ExampleEncoder(tokenizer, trainOn);
  return shownExample(encoder.encode(sample, "data.jsonl:3", maxLength), tokenizer);
}

const turn = (role: string, content: string) => ({ role, content });
const read = (record: Record<string, unknown>) =>
  ("messages" in record ? messagesFormat : promptCompletion)
    .read(new RecordFields("data.jsonl:3", record, {}));

const AGENT = read({
  messages: [
    turn("user", "q"),
    turn("assistant", "a"),
    turn("user", "r"),
    turn("assistant", "b"),
    turn("tool", "t"),
    turn("assistant", "c"),
  ],
});
const PAIR_OF_MESSAGES = read({
  prompt: [turn("user", "q"), turn("assistant", "a"), turn("user", "r")],
  completion: [turn("assistant", "b"), turn("user", "s"), turn("assistant", "c")],
});
const PAIR: Sample = { kind: "completion", prompt: "q", completion: "a" };
const TEXT: Sample = { kind: "text", text: "the words" };

/** An example, and what is trained of it by each choice. */
const CHOICES: [title: string, Sample, tokenizer: typeof CHAT, Record<TrainOn, string | null>][] = [
  ["a conversation", AGENT, BLOCKS, {
    assistant: "u:q\na:[a<|end|>]\nu:r\na:[b<|end|>]\nt:t\na:[c<|end|>]",
    all: "u[:q\na:a<|end|>\nu:r\na:b<|end|>\nt:t\na:c<|end|>\n]",
    last: "u:q\na:a<|end|>\nu:r\na:b<|end|>\nt:t\na:[c<|end|>]",
    completion: "u:q\na:a<|end|>\nu:r\na:[b<|end|>]\nt:t\na:[c<|end|>]",
  }],
  ["a pair of messages", PAIR_OF_MESSAGES, BLOCKS, {
    assistant: "u:q\na:a<|end|>\nu:r\na:[b<|end|>]\nu:s\na:[c<|end|>]",
    all: "u[:q\na:a<|end|>\nu:r\na:b<|end|>\nu:s\na:c<|end|>\n]",
    last: "u:q\na:a<|end|>\nu:r\na:b<|end|>\nu:s\na:[c<|end|>]",
    completion: "u:q\na:a<|end|>\nu:r\na:[b<|end|>]\nu:s\na:[c<|end|>]",
  }],
  ["a pair without a template", PAIR, PLAIN, {
    assistant: "q[a</s>]",
    all: "q[a</s>]",
    last: "q[a</s>]",
    completion: "q[a</s>]",
  }],
  ["a pair with a template", PAIR, BLOCKS, {
    assistant: "u:q\na:[a<|end|>]",
    all: "u[:q\na:a<|end|>\n]",
    last: "u:q\na:[a<|end|>]",
    completion: "u:q\na:[a<|end|>]",
  }],
  ["text", TEXT, PLAIN, {
    assistant: "the[ words</s>]",
    all: "the[ words</s>]",
    last: null,
    completion: null,
  }],
];

for (const [title, sample, tokenizer, byChoice] of CHOICES) {
  Deno.test(`trains on what is chosen of ${title}`, () => {
    for (const trainOn of TRAIN_ON) {
      const expected = byChoice[trainOn];
      if (expected !== null) assert.equal(shown(sample, trainOn, { tokenizer }), expected);
      else {
        assertRefuses(
          () => shown(sample, trainOn, { tokenizer }),
          "data",
          "data.jsonl:3: it is text, which has no completion",
        );
      }
    }
  });
}

Deno.test("a template with and without generation blocks trains the same", () => {
  const source = LINE.replaceAll(/\{% (end)?generation %\}/g, "");
  const asking = `${source}{% if add_generation_prompt %}a:{% endif %}`;
  const tokenizer = byteTokenizer({ chatTemplate: asking });
  for (const trainOn of TRAIN_ON) {
    for (const sample of [AGENT, PAIR_OF_MESSAGES, PAIR]) {
      assert.equal(
        shown(sample, trainOn, { tokenizer }),
        shown(sample, trainOn, { tokenizer: BLOCKS }),
      );
    }
  }
});

Deno.test("blocks that are not one for each answer are trained as they are, or not told apart", () => {
  const source = "{% generation %}{% for m in messages %}{{ m.content }}{% endfor %}<|end|>" +
    "{% endgeneration %}";
  const tokenizer = byteTokenizer({ chatTemplate: source });
  assert.equal(shown(AGENT, "assistant", { tokenizer }), "q[arbtc<|end|>]");
  assertRefuses(
    () => shown(AGENT, "last", { tokenizer }),
    "data",
    "data.jsonl:3: the chat template's {% generation %} blocks are not one for each",
  );
});

Deno.test("answers of weight 0 are not trained, unless everything is", () => {
  const untrained = (...left: Record<string, unknown>[]) =>
    read({
      messages: [
        turn("user", "q"),
        { ...turn("assistant", "a"), ...left[0] },
        turn("user", "r"),
        { ...turn("assistant", "b"), ...left[1] },
      ],
    });
  const first = "u:q\na:a<|end|>\nu:r\na:[b<|end|>]";
  for (const left of [{ weight: 0 }, { weight: new WrittenNumber("0.0") }, { train: false }]) {
    for (const tokenizer of [BLOCKS, CHAT]) {
      const sample = untrained(left, { weight: 1, train: true });
      const whole = shown(untrained({}, {}), "last", { tokenizer });
      assert.equal(shown(sample, "assistant", { tokenizer }), whole);
    }
    assert.equal(shown(untrained(left), "assistant", { tokenizer: BLOCKS }), first);
    assert.equal(
      shown(untrained(left), "all", { tokenizer: BLOCKS }),
      "u[:q\na:a<|end|>\nu:r\na:b<|end|>\n]",
    );
    assertRefuses(
      () => shown(untrained({}, left), "last", { tokenizer: BLOCKS }),
      "data",
      "data.jsonl:3: no token of it is trained",
    );
    // What is not to be learnt is no right answer either.
    assert.equal(new ExampleEncoder(CHAT).question(untrained({}, left)), null);
  }
});

Deno.test("what the system says stands before a pair", () => {
  const sample: Sample = { ...PAIR, system: "s" };
  assert.equal(shown(sample, "assistant", { tokenizer: BLOCKS }), "s:s\nu:q\na:[a<|end|>]");
});

Deno.test("what is too long ends with the last turn that fits", () => {
  const whole = "u:q\na:[a<|end|>]\nu:r\na:[b<|end|>]\nt:t\na:[c<|end|>]";
  const encoder = new ExampleEncoder(BLOCKS);
  const { ids } = encoder.encode(AGENT, "", 1000);
  assert.equal(shown(AGENT, "assistant", { tokenizer: BLOCKS, maxLength: ids.length }), whole);
  const cut = "u:q\na:[a<|end|>]\nu:r\na:[b<|end|>]";
  const kept = cut.replaceAll(/\[|\]/g, "").replaceAll("<|end|>", "E").length;
  for (let maxLength = kept; maxLength < ids.length; maxLength++) {
    assert.equal(shown(AGENT, "assistant", { tokenizer: BLOCKS, maxLength }), cut);
    const { truncatedTokens } = encoder.encode(AGENT, "", maxLength);
    assert.equal(truncatedTokens, ids.length - kept);
  }
  assert.equal(
    shown(AGENT, "assistant", { tokenizer: BLOCKS, maxLength: kept - 1 }),
    "u:q\na:[a<|end|>]",
  );
});

Deno.test("where no turn fits the first is cut, and where nothing trained fits the example is refused", () => {
  const long: Sample = { ...PAIR, completion: "abcdef" };
  assert.equal(shown(long, "assistant", { tokenizer: BLOCKS, maxLength: 9 }), "u:q\na:[abc]");
  const options = { tokenizer: BLOCKS, maxLength: 6 };
  assertRefuses(() => shown(long, "assistant", options), "data", "none of the first 6 tokens");
  // The last answer lies behind what fits.
  const last = { tokenizer: BLOCKS, maxLength: 15 };
  assertRefuses(() => shown(AGENT, "last", last), "data", "none of the first 15 tokens");
});
