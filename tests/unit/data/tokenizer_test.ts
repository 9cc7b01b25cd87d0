/** Tokenizers: golden ids from every source, offsets that locate every token, and refusals by name. */
import assert from "node:assert/strict";
import {
  checkVocabulary,
  type EncodeOptions,
  loadTokenizer,
  makeTokenizer,
  partsForWorker,
  tokenizerFiles,
} from "../../../src/data/tokenizer.ts";
import { buildGguf, type GgufField } from "../../support/gguf_builder.ts";
import { byteTokenizer, byteTokenizerParts, SPECIAL_TOKENS } from "../../support/byte_tokenizer.ts";
import { checkTokenizer, goldenTokenizer } from "../../support/check_tokenizer.ts";
import { assertRefuses } from "../../support/refuses.ts";
import { withTempDir } from "../../support/temp_dir.ts";

const GOLDEN = new URL("../../golden/smollm2", import.meta.url).pathname;
const TEXTS: string[] = JSON.parse(Deno.readTextFileSync(`${GOLDEN}/tokenizer_vectors.json`))
  .map(({ text }: { text: string }) => text);
const PASSED = { vectors: 30, renderings: 6, differences: [] };

Deno.test("tokenizer.json gives the golden ids and renderings", async () => {
  assert.deepEqual(checkTokenizer(await goldenTokenizer(GOLDEN), GOLDEN), PASSED);
});

Deno.test({
  name: "the GGUF file's tokenizer gives the golden ids and renderings",
  ignore: !Deno.env.get("SPIEL_MODELS"),
  fn() {
    const path = `${Deno.env.get("SPIEL_MODELS")}/SmolLM2-135M-Instruct.Q4_1.gguf`;
    const tokenizer = loadTokenizer(path);
    assert.deepEqual(checkTokenizer(tokenizer, GOLDEN), PASSED);
    assert.deepEqual([tokenizer.vocabSize, tokenizer.eosTokenIds], [49152, [2]]);
    checkVocabulary(tokenizer, 49152);
  },
});

Deno.test("written tokenizer files load as the same tokenizer", () =>
  withTempDir(async (dir) => {
    const original = await goldenTokenizer(GOLDEN);
    for (const [name, text] of tokenizerFiles(original)) {
      Deno.writeTextFileSync(`${dir}/${name}`, text);
    }
    Deno.writeTextFileSync(`${dir}/generation_config.json`, `{"eos_token_id":[2,0]}`);
    const loaded = loadTokenizer(dir);
    assert.deepEqual(checkTokenizer(loaded, GOLDEN), PASSED);
    assert.deepEqual(loaded.eosTokenIds, [2, 0]);
    assert.equal(loaded.bosToken, "<|im_start|>");
  }));

Deno.test("offsets cover the text in order and locate every token", async () => {
  for (const tokenizer of [await goldenTokenizer(GOLDEN), byteTokenizer()]) {
    for (const text of [...TEXTS, "the a the \uD83D\uDE00 e\u0301 \u0958", "a\uD800b"]) {
      const { ids, starts, ends } = tokenizer.encodeWithOffsets(text);
      assert.equal(starts[0] ?? 0, 0);
      assert.equal(ends.at(-1) ?? 0, text.length);
      for (let i = 0; i < ids.length; i++) {
        assert.ok(starts[i]! < ends[i]!, text);
        // A token begins where the one before ends, or inside the same character.
        if (i > 0) assert.ok(starts[i]! <= ends[i - 1]! && starts[i]! >= starts[i - 1]!, text);
        const piece = tokenizer.decode([ids[i]!]);
        const slice = text.slice(starts[i], ends[i]);
        if (!piece.includes("\uFFFD")) assert.equal(piece, slice, text);
      }
    }
  }
});

Deno.test("tokenizers that compose characters still locate tokens in the text as it is", () => {
  const tokenizer = byteTokenizer({}, { normalizer: { type: "NFC" } });
  const text = "e\u0301a \u1112\u1161\u11AB b";
  const { ids, starts, ends } = tokenizer.encodeWithOffsets(text);
  assert.equal(tokenizer.decode(ids), text.normalize("NFC"));
  assert.deepEqual([starts[0], ends[1]], [0, 2], "two bytes of one composed letter");
  assert.equal(text.slice(starts[2], ends[2]), "a");
  assert.equal(text.slice(starts.at(-1), ends.at(-1)), "b");
});

Deno.test("numbers of every script are digits, white space is Unicode's", () => {
  const pieces = (preTokenizer: unknown, text: string) => {
    const vocabulary = byteTokenizerParts().json.model as { vocab: Record<string, number> };
    // Merges that would join the text if it were not split.
    const merges = [["1", "2"], ["\u00d9", "\u00a3"], ["\u00d9\u00a3", "1"]];
    const vocab = { ...vocabulary.vocab };
    for (const [a, b] of merges) vocab[`${a}${b}`] = Object.keys(vocab).length;
    const tokenizer = byteTokenizer({}, {
      added_tokens: [],
      pre_tokenizer: preTokenizer,
      model: { type: "BPE", vocab, merges },
    });
    return [...tokenizer.encode(text)].map((id) => tokenizer.decode([id]));
  };
  const digits = { type: "Digits", individual_digits: true };
  const bytes = { type: "ByteLevel", add_prefix_space: false, use_regex: false };
  const sequence = { type: "Sequence", pretokenizers: [digits, bytes] };
  assert.deepEqual(pieces(bytes, "\u06631"), ["\u06631"]);
  assert.deepEqual(pieces(sequence, "\u0663112"), ["\u0663", "1", "1", "2"]);
});

Deno.test("begin tokens come from the post-processor and have no place in the text", () => {
  const bos = { id: "<s>", type_id: 0 };
  const template = {
    type: "TemplateProcessing",
    single: [{ SpecialToken: bos }, { Sequence: { id: "A", type_id: 0 } }],
    pair: [],
    special_tokens: {},
  };
  const tokenizer = byteTokenizer({}, { post_processor: template });
  const bosId = tokenizer.encode("<s>", { addSpecialTokens: false })[0]!;
  assert.deepEqual([...tokenizer.encode("")], [bosId]);
  assert.deepEqual([...tokenizer.encode("x", { addSpecialTokens: false })], ["x".charCodeAt(0)]);
  assert.deepEqual([...tokenizer.encode("", { addSpecialTokens: "begin" })], [bosId]);
  const { ids, starts, ends } = tokenizer.encodeWithOffsets("<s>x");
  assert.deepEqual([...ids], [bosId, bosId, "x".charCodeAt(0)]);
  assert.deepEqual([[...starts], [...ends]], [[0, 0, 3], [0, 3, 4]]);
});

Deno.test("end tokens come from the post-processor too, except for a text that goes on", () => {
  const single = [{ Sequence: { id: "A", type_id: 0 } }, {
    SpecialToken: { id: "</s>", type_id: 0 },
  }];
  const template = { type: "TemplateProcessing", single, pair: [], special_tokens: {} };
  const tokenizer = byteTokenizer({}, { post_processor: template });
  const words = (options: EncodeOptions) => tokenizer.decode(tokenizer.encode("x", options));
  assert.equal(words({}), "x</s>");
  assert.equal(words({ addSpecialTokens: "begin" }), "x");
  assert.equal(words({ addSpecialTokens: false }), "x");
  const { ids, starts } = tokenizer.encodeWithOffsets("x", { addSpecialTokens: "begin" });
  assert.deepEqual([ids.length, ...starts], [1, 0]);
});

Deno.test("vocabularies of the SentencePiece kind are located and decoded", () => {
  const words = ["<unk>", "\u2581", "a", "b", "\u2581a", "<0xC3>", "<0xA9>", "<s>"];
  const tokenizer = byteTokenizer({}, {
    added_tokens: [{ id: 7, content: "<s>", special: true, normalized: false }],
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "Prepend", prepend: "\u2581" },
        { type: "Replace", pattern: { String: " " }, content: "\u2581" },
      ],
    },
    pre_tokenizer: null,
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: "\u2581" }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        { type: "Strip", content: " ", start: 1, stop: 0 },
      ],
    },
    model: {
      type: "BPE",
      unk_token: "<unk>",
      byte_fallback: true,
      vocab: Object.fromEntries(words.map((word, id) => [word, id])),
      merges: [["\u2581", "a"]],
    },
  });
  const text = "ab a\u00e9<s>b";
  const { ids, starts, ends } = tokenizer.encodeWithOffsets(text);
  assert.deepEqual([...ids], [4, 3, 4, 5, 6, 7, 1, 3]);
  assert.deepEqual([...starts], [0, 1, 2, 4, 4, 5, 8, 8]);
  assert.deepEqual([...ends], [1, 2, 4, 5, 5, 8, 8, 9]);
  assert.equal(tokenizer.decode(ids.slice(0, 5)), "ab a\u00e9");
  assert.equal(tokenizer.decode([]), "");
  const unknown = tokenizer.encodeWithOffsets("a\u4e00\u4e01b");
  assert.deepEqual([...unknown.ids], [4, 0, 0, 3], "what no token spells has its place too");
  assert.deepEqual([...unknown.starts], [0, 1, 2, 3]);
});

Deno.test("decoding joins bytes across tokens and refuses unknown ids", () => {
  const tokenizer = byteTokenizer();
  assert.equal(tokenizer.decode([0xC3, 0xA9]), "\u00e9");
  assert.equal(tokenizer.decode([0xC3]), "\uFFFD");
  const end = tokenizer.encode("<|end|>")[0]!;
  assert.equal(tokenizer.decode([65, end, 66], { skipSpecialTokens: true }), "AB");
  assert.equal(tokenizer.decode([65, end, 66]), "A<|end|>B");
  assertRefuses(() => tokenizer.decode([999]), "data", "token 999");
  assert.deepEqual(tokenizer.specialTokens, SPECIAL_TOKENS);
  assert.deepEqual(tokenizer.eosTokenIds, [...tokenizer.encode("</s>")]);
  assertRefuses(() => checkVocabulary(tokenizer, 263), "data", "up to 263", "vocab_size is 263");
});

Deno.test("tokenizer.json files that cannot be followed are refused", () => {
  const bad: [json: Record<string, unknown>, ...fragments: string[]][] = [
    [{ model: null }, `"model"`],
    [{ model: { type: "WordPiece" } }, "WordPiece", "BPE, Unigram"],
    [{ decoder: null, pre_tokenizer: null }, "ByteLevel"],
    [
      {
        pre_tokenizer: {
          type: "Split",
          pattern: { String: " " },
          behavior: "MergedWithNext",
          invert: false,
        },
      },
      "MergedWithNext",
      "Isolated",
    ],
    [{ pre_tokenizer: { type: "Nonsense" } }, "unusable tokenizer"],
  ];
  for (const [json, ...fragments] of bad) {
    assertRefuses(() => byteTokenizer({}, json), "data", "byte tokenizer", ...fragments);
  }
});

/** Metadata of a tokenizer in a GGUF file: bytes, merges of spaces and digits, two special tokens. */
function ggufTokenizer(pre: string | null, more: [string, GgufField][] = []): Uint8Array {
  const { vocab } = byteTokenizerParts().json.model as { vocab: Record<string, number> };
  const merged = ["12", "34", "1234", "\u0120\u0120"];
  const tokens = [...Object.keys(vocab), ...merged, "<bos>", "<eos>"];
  const types = tokens.map((token) => token.startsWith("<") && token.length > 1 ? 3 : 1);
  const fields: [string, GgufField][] = [
    ["tokenizer.ggml.model", { type: "string", value: "gpt2" }],
    ["tokenizer.ggml.tokens", { type: "strings", value: tokens }],
    ["tokenizer.ggml.token_type", { type: "i32s", value: types }],
    ["tokenizer.ggml.merges", {
      type: "strings",
      value: ["1 2", "3 4", "12 34", "\u0120 \u0120"],
    }],
    ["tokenizer.ggml.bos_token_id", { type: "u32", value: tokens.length - 2 }],
    ["tokenizer.ggml.eos_token_id", { type: "u32", value: tokens.length - 1 }],
  ];
  if (pre !== null) fields.push(["tokenizer.ggml.pre", { type: "string", value: pre }]);
  return buildGguf({ metadata: [...new Map([...fields, ...more])] });
}

Deno.test("GGUF pre-tokenizers split as their models do", () =>
  withTempDir((dir) => {
    const load = (pre: string, more: [string, GgufField][] = []) => {
      Deno.writeFileSync(`${dir}/a.gguf`, ggufTokenizer(pre, more));
      return loadTokenizer(`${dir}/a.gguf`);
    };
    const expected: [pre: string, pieces: string[]][] = [
      ["smollm", ["x", "  ", "1", "2", "3", "4"]],
      ["qwen2", ["x", " ", " ", "1", "2", "3", "4"]],
      ["llama-bpe", ["x", " ", " ", "12", "3", "4"]],
      ["gpt-2", ["x", " ", " ", "1234"]],
      ["default", ["x", " ", " ", "12", "3", "4"]],
    ];
    for (const [pre, pieces] of expected) {
      const tokenizer = load(pre);
      const ids = tokenizer.encode("x  1234", { addSpecialTokens: false });
      assert.deepEqual([...ids].map((id) => tokenizer.decode([id])), pieces, pre);
      const sent = makeTokenizer(structuredClone(partsForWorker(tokenizer)));
      assert.deepEqual(sent.encode("x  1234", { addSpecialTokens: false }), ids, pre);
    }
    const adds = (value: boolean): [string, GgufField] => [
      "tokenizer.ggml.add_bos_token",
      { type: "bool", value },
    ];
    const count = (pre: string, more: [string, GgufField][]) => load(pre, more).encode("x").length;
    assert.deepEqual([count("llama-bpe", []), count("llama-bpe", [adds(false)])], [2, 1]);
    assert.deepEqual([count("gpt-2", []), count("gpt-2", [adds(true)])], [1, 2]);
    assert.equal(load("gpt-2").eosToken, "<eos>");
  }));

Deno.test("GGUF tokenizers of other kinds are refused by name", () =>
  withTempDir((dir) => {
    const path = `${dir}/a.gguf`;
    const string = (value: string): GgufField => ({ type: "string", value });
    const bad: [bytes: Uint8Array, ...fragments: string[]][] = [
      [ggufTokenizer("kimi-k2"), "tokenizer.ggml.pre", "kimi-k2", "smollm"],
      [ggufTokenizer(null), "tokenizer.ggml.pre", "(missing)"],
      [ggufTokenizer("gpt-2", [["tokenizer.ggml.model", string("t5")]]), "t5", "gpt2, llama"],
      [ggufTokenizer("gpt-2", [["tokenizer.ggml.tokens", string("x")]]), "array of strings"],
      [
        ggufTokenizer("gpt-2", [
          ["tokenizer.ggml.tokens", { type: "strings", value: ["a", "a"] }],
          ["tokenizer.ggml.token_type", { type: "i32s", value: [1, 1] }],
          ["tokenizer.ggml.bos_token_id", { type: "u32", value: 0 }],
          ["tokenizer.ggml.eos_token_id", { type: "u32", value: 1 }],
        ]),
        `"a" occurs twice`,
      ],
      [
        ggufTokenizer("gpt-2", [["tokenizer.ggml.merges", { type: "strings", value: ["ab"] }]]),
        "not two parts",
      ],
      [buildGguf({}), "tokenizer.ggml.model", "(missing)"],
    ];
    for (const [bytes, ...fragments] of bad) {
      Deno.writeFileSync(path, bytes);
      assertRefuses(() => loadTokenizer(path), "data", path, ...fragments);
    }
    Deno.writeTextFileSync(`${dir}/config.json`, "{}");
    assertRefuses(() => loadTokenizer(dir), "data", dir, "tokenizer.json nor tokenizer.model");
    assertRefuses(() => loadTokenizer(`${dir}/none.gguf`), "data", "none.gguf");
    assert.throws(() => makeTokenizer(byteTokenizerParts({}, { model: undefined })));
  }));
