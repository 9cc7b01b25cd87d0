/** Byte pairs are joined as the library joins them. */
import assert from "node:assert/strict";
import { BPE } from "npm:@huggingface/tokenizers@0.2.0";
import { readBytePairLists, readBytePairs } from "../../../src/data/tokenizer_vocabulary.ts";
import { assertRefuses } from "../../support/refuses.ts";
import { randomNumbers } from "../../support/small_model.ts";

/** Random merges over few letters, so that many words can be joined in several ways. */
function randomModel(random: () => number) {
  const tokens = ["a", "b", "c", "\u6f22", "\u{1f600}"];
  const merges: [string, string][] = [];
  const pick = () => tokens[Math.floor(random() * tokens.length)]!;
  while (merges.length < 60) {
    const [left, right] = [pick(), pick()];
    if (left.length + right.length > 12) continue;
    // The same two may be merged again, the same token made of others.
    merges.push([left, right]);
    if (!tokens.includes(left + right)) tokens.push(left + right);
  }
  return { tokens, merges, vocab: Object.fromEntries(tokens.map((token, id) => [token, id])) };
}

function randomWord(random: () => number): string {
  const letters = ["a", "a", "b", "b", "c", "\u6f22", "\u{1f600}", "x", "\uD83D"];
  const length = Math.floor(random() * 24);
  return Array.from({ length }, () => letters[Math.floor(random() * letters.length)]).join("");
}

Deno.test("words are joined as the library joins them, whatever the merges", () => {
  const random = randomNumbers(3);
  for (let model = 0; model < 30; model++) {
    const { tokens, merges, vocab } = randomModel(random);
    const library = new BPE({ type: "BPE", vocab, merges, unk_token: "a" } as never);
    const ofObject = readBytePairs({ vocab, merges }, "test");
    const lists = { tokens, merges: merges.map((merge) => merge.join(" ")) };
    const ofLists = readBytePairLists(lists, "test");
    for (let i = 0; i < 100; i++) {
      const word = randomWord(random);
      const expected = library.bpe(word);
      assert.deepEqual(ofObject.join(Array.from(word)), expected, word);
      assert.deepEqual(ofLists.join(Array.from(word)), expected, word);
    }
  }
});

Deno.test("a word of many characters takes no longer than its length lets expect", () => {
  const pairs = readBytePairLists(
    { tokens: ["a", "aa", "aaaa"], merges: ["a a", "aa aa"] },
    "test",
  );
  const joined = pairs.join(Array.from("a".repeat(400_002)));
  assert.equal(joined.length, 100_001);
  assert.equal(joined.at(-1), "aa");
});

Deno.test("lists whose tokens occur twice or whose merges make none are refused", () => {
  const read = (tokens: string[], merges: string[]) => () =>
    readBytePairLists({ tokens, merges }, "lists");
  assertRefuses(read(["a", "b", "a"], []), "data", "lists", `"a" occurs twice`);
  assertRefuses(read(["a", "b"], ["ab"]), "data", "lists", `"ab" is not two parts`);
  assertRefuses(read(["a", "b"], ["a b"]), "data", "merges[0]", `"ab" is no token`);
  assertRefuses(read(["a", "ab"], ["a b"]), "data", "merges[0]", `"b" is no token`);
});
