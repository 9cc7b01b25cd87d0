/**
 * Tokenizers against the Python libraries: sentencepiece 0.2.3, tokenizers 0.23.3, and llama.cpp's own by
 * llama-cpp-python 0.3.36. `tests/golden/tokenizers/make.py` wrote their ids for small vocabularies of each kind.
 */
import assert from "node:assert/strict";
import {
  loadTokenizer,
  makeTokenizer,
  type Tokenizer,
  tokenizerFiles,
} from "../../../src/data/tokenizer.ts";
import { decodeStream } from "../../../src/generate/generate.ts";
import { buildGguf } from "../../support/gguf_builder.ts";
import { withTempDir } from "../../support/temp_dir.ts";
import {
  piecesGguf,
  TOKENIZERS,
  type TokenizerVector,
  tokenizerVectors,
} from "../../support/tokenizer_vectors.ts";

const VECTORS = tokenizerVectors();

const fromJson = (name: string, json: Record<string, unknown>) =>
  makeTokenizer({
    where: name,
    json,
    config: {},
    bosToken: null,
    eosToken: null,
    eosTokenIds: [],
    chatTemplate: null,
  });

function assertVectors(name: string, tokenizer: Tokenizer, vectors: readonly TokenizerVector[]) {
  for (const { text, ids, decoded } of vectors) {
    const what = `${name}: ${JSON.stringify(text)}`;
    assert.deepEqual([...tokenizer.encode(text, { addSpecialTokens: false })], ids, what);
    if (decoded !== undefined) assert.equal(tokenizer.decode(ids), decoded, what);
  }
}

Deno.test("tokenizer.json of SentencePiece's kind gives the ids and text of tokenizers", () => {
  assert.deepEqual(VECTORS.tokenizer_json.map(({ name }) => name), [
    "llama 2",
    "llama 2 with added tokens",
    "mistral",
    "words",
    "gemma",
    "unigram",
    "unigram with bytes",
  ]);
  for (const { name, json, vectors } of VECTORS.tokenizer_json) {
    assertVectors(name, fromJson(name, json), vectors);
  }
});

Deno.test("tokenizer.model gives the ids of sentencepiece, and so do the files written from it", () =>
  withTempDir((dir) => {
    for (const [name, vectors] of Object.entries(VECTORS.sentencepiece)) {
      Deno.copyFileSync(`${TOKENIZERS}/${name}.model`, `${dir}/tokenizer.model`);
      const tokenizer = loadTokenizer(dir);
      // sentencepiece prints another text for unknown tokens.
      const comparable = vectors.map((vector) =>
        vector.decoded?.includes("\u2047") ? { text: vector.text, ids: vector.ids } : vector
      );
      assertVectors(name, tokenizer, comparable);
      assert.deepEqual([tokenizer.bosToken, tokenizer.eosToken], ["<s>", "</s>"]);
      const [bosId] = tokenizer.encode("");
      assert.equal(tokenizer.decode([bosId!]), "<s>");
      const written = JSON.parse(tokenizerFiles(tokenizer).get("tokenizer.json")!);
      assertVectors(`${name}, written`, fromJson(name, written), comparable);
    }
  }));

Deno.test("pieces in a GGUF file give the ids of llama.cpp", () =>
  withTempDir((dir) => {
    const path = `${dir}/a.gguf`;
    for (const pieces of VECTORS.gguf_pieces) {
      Deno.writeFileSync(path, piecesGguf(pieces));
      const tokenizer = loadTokenizer(path);
      assertVectors(pieces.name, tokenizer, pieces.vectors);
      assert.deepEqual([...tokenizer.encode("")], [1], "a begin token by default");
    }
  }));

/**
 * Where llama.cpp is known to differ from the tokenizers that the models come with: these compose characters first, or
 * count combining marks among the letters.
 */
const COMBINING = /\p{L}\p{M}/u;
const WITHOUT_MARKS = ["qwen2", "deepseek-r1-qwen", "qwen35", "tekken", "gpt-4o", "llama4"];

Deno.test("every pre-tokenizer of GGUF files gives the ids of llama.cpp", () =>
  withTempDir((dir) => {
    const { tokens, merges, texts, ids } = VECTORS.gguf_pre;
    const path = `${dir}/a.gguf`;
    for (const [pre, expected] of Object.entries(ids)) {
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
      const tokenizer = loadTokenizer(path);
      const vectors = texts.map((text, i) => ({ text, ids: expected[i]! }));
      const differs = ({ text }: TokenizerVector) =>
        WITHOUT_MARKS.includes(pre) && COMBINING.test(text);
      assertVectors(pre, tokenizer, vectors.filter((vector) => !differs(vector)));
      for (const { text } of vectors) {
        const read = tokenizer.decode(tokenizer.encode(text, { addSpecialTokens: false }));
        assert.equal(read.normalize("NFC"), text.normalize("NFC"), pre);
      }
    }
    assert.equal(Object.keys(ids).length, 32);
  }));

/** Texts of characters that vocabularies treat in different ways, the same in every run. */
function* randomTexts(count: number): Generator<string> {
  const alphabet = [
    ..."abcdehinost  \n\t.,1é",
    "\u0301",
    "\ufeff",
    "京",
    "😀",
    "\u200d",
    "<",
    "0x41>",
  ];
  let state = 1;
  const next = (below: number) => {
    state = Math.imul(state, 1_103_515_245) + 12_345 >>> 0;
    return (state >>> 8) % below;
  };
  for (let i = 0; i < count; i++) {
    yield Array.from({ length: next(24) }, () => alphabet[next(alphabet.length)]).join("");
  }
}

/** Those whose vocabulary spells every byte and whose normalizer only spells spaces otherwise. */
const EXACT = ["llama 2", "gemma"];

Deno.test("text comes back exactly, and every token has its place in it", async () => {
  for (const { name, json } of VECTORS.tokenizer_json.filter(({ name }) => EXACT.includes(name))) {
    const tokenizer = fromJson(name, json);
    for (const text of randomTexts(300)) {
      const { ids, starts, ends } = tokenizer.encodeWithOffsets(text);
      assert.deepEqual(ids, tokenizer.encode(text));
      assert.equal(tokenizer.decode(ids), text);
      assert.equal(ends.at(-1) ?? 0, text.length);
      for (let i = 0; i < ids.length; i++) {
        const before = i === 0 ? 0 : ends[i - 1]!;
        // A token begins where the one before ends, or is another byte of the same character.
        assert.ok(starts[i] === before || (starts[i]! < before && ends[i] === before), text);
      }
      const pieces: string[] = [];
      for await (const piece of decodeStream(stream(ids), (ids) => tokenizer.decode(ids))) {
        pieces.push(piece);
      }
      assert.equal(pieces.join(""), text, `${name}: as a stream`);
    }
  }
});

async function* stream(ids: Uint32Array): AsyncGenerator<number> {
  yield* ids;
}

Deno.test("places lead back through normalizers that change the text", () => {
  const { json } = VECTORS.tokenizer_json.find(({ name }) => name === "unigram")!;
  const tokenizer = fromJson("unigram", json);
  const places = (text: string) => {
    const { ids, starts, ends } = tokenizer.encodeWithOffsets(text);
    return [...ids].map((id, i) => [tokenizer.decode([id]), text.slice(starts[i], ends[i])]);
  };
  // A ligature, full width, a composed letter, and a run of spaces that becomes one.
  assert.deepEqual(places("\uFB01 e\u0301"), [
    ["", ""],
    ["f", "\uFB01"],
    ["i", "\uFB01"],
    ["", " "],
    ["\u00e9", "e\u0301"],
  ]);
  assert.deepEqual(places("\uFF53\u3000 a "), [["s", "\uFF53"], ["a", "\u3000 a"]]);
});
