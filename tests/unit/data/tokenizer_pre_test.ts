/** Kinds of pre-tokenizers that the vectors of llama.cpp do not have: where words end, by tokens of whole words. */
import assert from "node:assert/strict";
import { loadTokenizer } from "../../../src/data/tokenizer.ts";
import { buildGguf } from "../../support/gguf_builder.ts";
import { withTempDir } from "../../support/temp_dir.ts";

/** What stands for the bytes of printable ASCII, a space and a line's end. */
const ALPHABET = [..."ĠĊ", ...Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i))];

/** The words of a text, by a vocabulary whose merges join a pair of characters wherever a word has both. */
async function pairsOf(pre: string, text: string, pairs: string[]): Promise<string[]> {
  return await withTempDir((dir) => {
    const path = `${dir}/a.gguf`;
    const tokens = [...ALPHABET, ...pairs];
    const merges = pairs.map((pair) => [...pair].join(" "));
    Deno.writeFileSync(
      path,
      buildGguf({
        metadata: [
          ["tokenizer.ggml.model", { type: "string", value: "gpt2" }],
          ["tokenizer.ggml.pre", { type: "string", value: pre }],
          ["tokenizer.ggml.tokens", { type: "strings", value: tokens }],
          ["tokenizer.ggml.merges", { type: "strings", value: merges }],
        ],
      }),
    );
    const ids = loadTokenizer(path).encode(text, { addSpecialTokens: false });
    return [...ids].map((id) => tokens[id]!);
  });
}

Deno.test("deepseek-coder keeps a space with a word or with punctuation, and parts lines and digits", async () => {
  const pairs = ["Ġa", "a1", "12", "Ġ+", "Ġ(", "()", ")Ċ", "ĊĊ", "ab"];
  assert.deepEqual(await pairsOf("deepseek-coder", "ab a12 + ()\n\n", pairs), [
    ...["ab", "Ġa", "1", "2", "Ġ+", "Ġ(", ")", "Ċ", "Ċ"],
  ]);
});

Deno.test("falcon-h1, midm-2.0 and lfm2 cut as llama3 does", async () => {
  const pairs = ["Ġa", "12", "34", "1'", "'s", "ĊĊ"];
  const text = "a a 1234 it's\n\n";
  const expected = await pairsOf("llama3", text, pairs);
  assert.ok(["Ġa", "12", "'s", "ĊĊ"].every((pair) => expected.includes(pair)), `${expected}`);
  for (const pre of ["falcon-h1", "midm-2.0", "lfm2"]) {
    assert.deepEqual(await pairsOf(pre, text, pairs), expected, pre);
  }
});
