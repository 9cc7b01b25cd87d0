/** Words that are remembered are spelled as the library spells them, whatever comes before the bytes' spelling. */
import assert from "node:assert/strict";
import { Tokenizer as HuggingFaceTokenizer } from "npm:@huggingface/tokenizers@0.2.0";
import { exactTokenizerJson } from "../../../src/data/tokenizer_json.ts";
import { withoutSpelling } from "../../../src/data/tokenizer_word_memo.ts";
import { byteTokenizer, byteTokenizerParts, SPECIAL_TOKENS } from "../../support/byte_tokenizer.ts";
import { randomNumbers } from "../../support/small_model.ts";

const SPELLING = { type: "ByteLevel", add_prefix_space: false, use_regex: false };
const DIGITS = { type: "Digits", individual_digits: true };

const PRE_TOKENIZERS: Record<string, unknown> = {
  "GPT-2": { type: "ByteLevel", add_prefix_space: false, use_regex: true },
  "digits, then GPT-2": {
    type: "Sequence",
    pretokenizers: [DIGITS, { type: "ByteLevel", add_prefix_space: false, use_regex: true }],
  },
  "the spelling alone": SPELLING,
  "a space in front": { type: "ByteLevel", add_prefix_space: true, use_regex: true },
};

/** Texts of few pieces, so that words come again. */
function* texts(): Generator<string> {
  const random = randomNumbers(9);
  const pieces = [
    ...[
      "the",
      " the",
      " a",
      "th",
      "\n",
      " ",
      "  ",
      "\u0085",
      "\uFEFF",
      "12",
      "é",
      "e\u0301",
      "漢字",
    ],
    ...["😀", "\uD83D", "\0", "'s", "-", ...SPECIAL_TOKENS, "x".repeat(80)],
  ];
  for (let i = 0; i < 300; i++) {
    const length = Math.floor(random() * 12);
    yield Array.from({ length }, () => pieces[Math.floor(random() * pieces.length)]).join("");
  }
}

for (const [name, pre_tokenizer] of Object.entries(PRE_TOKENIZERS)) {
  for (const ignore_merges of [false, true]) {
    Deno.test(`${name}${ignore_merges ? ", whole words first" : ""}: the ids are the library's`, () => {
      const parts = byteTokenizerParts();
      const model = { ...parts.json.model as Record<string, unknown>, ignore_merges };
      const changes = { pre_tokenizer, model };
      const { json } = exactTokenizerJson({ ...parts.json, ...changes }, "test");
      const library = new HuggingFaceTokenizer(json, {});
      const tokenizer = byteTokenizer({}, changes);
      for (const text of texts()) {
        const { ids } = library.encode(text, { add_special_tokens: false });
        assert.deepEqual(
          [...tokenizer.encode(text, { addSpecialTokens: false })],
          ids,
          JSON.stringify(text),
        );
      }
    });
  }
}

Deno.test("only a last step that spells bytes and does nothing else is left out", () => {
  const sequence = (...pretokenizers: unknown[]) => ({ type: "Sequence", pretokenizers });
  assert.deepEqual(withoutSpelling(SPELLING), { part: null });
  assert.deepEqual(withoutSpelling(sequence(DIGITS, SPELLING)), { part: sequence(DIGITS) });
  assert.deepEqual(withoutSpelling(sequence(DIGITS, sequence(DIGITS, SPELLING))), {
    part: sequence(DIGITS, sequence(DIGITS)),
  });
  assert.deepEqual(withoutSpelling(sequence(SPELLING)), { part: null });
  for (const other of [null, DIGITS, sequence(), sequence(SPELLING, DIGITS)]) {
    assert.equal(withoutSpelling(other), null);
  }
  assert.equal(withoutSpelling({ ...SPELLING, add_prefix_space: true }), null);
});
