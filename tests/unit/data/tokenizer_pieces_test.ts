/** Vocabularies of SentencePiece's kind: what the files around them say, and files that are refused. */
import assert from "node:assert/strict";
import { loadTokenizer } from "../../../src/data/tokenizer.ts";
import { byteTokenizer } from "../../support/byte_tokenizer.ts";
import type { GgufField } from "../../support/gguf_builder.ts";
import { assertRefuses } from "../../support/refuses.ts";
import { withTempDir } from "../../support/temp_dir.ts";
import { piecesGguf, TOKENIZERS, tokenizerVectors } from "../../support/tokenizer_vectors.ts";

const MODEL = Deno.readFileSync(`${TOKENIZERS}/bpe.model`);

/** Loads a folder of these files. */
function folder(files: Record<string, unknown>, model = MODEL) {
  const dir = Deno.makeTempDirSync();
  try {
    Deno.writeFileSync(`${dir}/tokenizer.model`, model);
    for (const [name, content] of Object.entries(files)) {
      Deno.writeTextFileSync(`${dir}/${name}`, JSON.stringify(content));
    }
    return loadTokenizer(dir);
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}

const shown = (tokenizer: ReturnType<typeof folder>, text: string) =>
  [...tokenizer.encode(text)].map((id) => tokenizer.decode([id])).join("|");

Deno.test("tokenizer_config.json says which tokens surround a text and which were added", () => {
  const config = (more: Record<string, unknown>) => ({ "tokenizer_config.json": more });
  assert.equal(shown(folder({}), "the cat"), "<s>|the|cat");
  const around = folder(config({ add_bos_token: false, add_eos_token: true }));
  assert.equal(shown(around, "the cat"), "the|cat|</s>");
  const added = folder({
    ...config({
      legacy: false,
      eos_token: { content: "<end>" },
      add_eos_token: true,
      add_bos_token: false,
      added_tokens_decoder: {
        "400": { content: "<end>", special: true },
        "401": { content: "<turn>", rstrip: true, special: true },
      },
    }),
    "added_tokens.json": { "<old>": 402 },
  });
  assert.equal(added.vocabSize, 403);
  assert.equal(added.eosToken, "<end>");
  assert.deepEqual(added.specialTokens.slice(-2), ["<end>", "<turn>"]);
  // Not legacy: only the first stretch of text gets a space in front, which decoding takes away.
  const text = "the<turn> \nthe<old>the";
  assert.equal(shown(added, text), "the|<turn>|t|he|<old>|t|he|<end>");
  assert.equal(shown(folder({}), "the<sep>the"), "<s>|the|<sep>|the");
  assertRefuses(
    () => folder(config({ added_tokens_decoder: { "400": {} } })),
    "data",
    "tokenizer_config.json: added_tokens_decoder 400",
  );
});

Deno.test("tokenizer.json too follows add_bos_token and add_eos_token where they are given", () =>
  withTempDir((dir) => {
    const { json } = tokenizerVectors().tokenizer_json[0]!;
    Deno.writeTextFileSync(`${dir}/tokenizer.json`, JSON.stringify(json));
    const load = (config: Record<string, unknown>) => {
      const content = { bos_token: "<s>", eos_token: "</s>", ...config };
      Deno.writeTextFileSync(`${dir}/tokenizer_config.json`, JSON.stringify(content));
      return shown(loadTokenizer(dir), "the");
    };
    assert.equal(load({}), "the");
    assert.equal(load({ add_bos_token: true }), "<s>|the");
    assert.equal(load({ add_bos_token: false, add_eos_token: true }), "the|</s>");
  }));

Deno.test("GGUF metadata of pieces says how a text is surrounded and its spaces are treated", () =>
  withTempDir((dir) => {
    const path = `${dir}/a.gguf`;
    const load = (more: [string, GgufField][]) => {
      Deno.writeFileSync(path, piecesGguf(tokenizerVectors().gguf_pieces[0]!, more));
      return loadTokenizer(path);
    };
    const flag = (name: string, value: boolean): [string, GgufField] => [
      `tokenizer.ggml.${name}`,
      { type: "bool", value },
    ];
    assert.equal(shown(load([]), "the  cat "), "<s>|the||cat|");
    assert.equal(
      shown(load([flag("remove_extra_whitespaces", true)]), " the  cat "),
      "<s>|the|cat",
    );
    const around = [flag("add_bos_token", false), flag("add_eos_token", true)];
    assert.equal(shown(load(around), "the"), "the|</s>");
    assert.equal(load([flag("add_space_prefix", false)]).encode("the").length, 3);
    // Phi-3 files name their kind only here.
    const phi: [string, GgufField] = ["general.name", { type: "string", value: "Phi-3 mini" }];
    assert.equal(load([]).encode("<sep>\nthe").length, 6);
    assert.equal(load([phi]).encode("<sep>\nthe").length, 3);

    const bad: [[string, GgufField], ...string[]][] = [
      [["tokenizer.ggml.scores", { type: "f32s", value: [1] }], "scores has 1 values"],
      [["tokenizer.ggml.token_type", { type: "i32s", value: [1, 2] }], "token_type has 2 values"],
      [["tokenizer.ggml.tokens", { type: "strings", value: [] }], "0 tokens"],
    ];
    for (const [field, ...fragments] of bad) {
      assertRefuses(() => load([field]), "data", path, ...fragments);
    }
    const pieces = tokenizerVectors().gguf_pieces[0]!;
    const scores = pieces.scores.with(300, NaN);
    Deno.writeFileSync(path, piecesGguf({ ...pieces, scores }));
    assertRefuses(() => loadTokenizer(path), "data", path, "NaN");
    const tokens = pieces.tokens.with(300, pieces.tokens[301]!);
    Deno.writeFileSync(path, piecesGguf({ ...pieces, tokens }));
    assertRefuses(() => loadTokenizer(path), "data", path, "occurs twice");
  }));

Deno.test("a damaged tokenizer.model is refused by name, wherever it is cut", () => {
  // All but whole pieces at the front: a message has no end of its own.
  for (let length = 101; length < MODEL.length; length += 101) {
    const cut = MODEL.slice(0, length);
    const borders = new Set<number>();
    for (let at = 0; cut[at] === 0x0A; borders.add(at)) at += 2 + cut[at + 1]!;
    if (borders.has(length)) continue;
    assertRefuses(() => folder({}, cut), "data", "tokenizer.model is not a SentencePiece model");
  }
  const bytes = (...values: number[]) => Uint8Array.from(values);
  const piece = (...content: number[]) => bytes(0x0A, content.length, ...content);
  const a = piece(0x0A, 1, 0x61);
  const join = (...parts: Uint8Array[]) => Uint8Array.from(parts.flatMap((part) => [...part]));
  const bad: [Uint8Array<ArrayBuffer>, ...string[]][] = [
    [bytes(), "no pieces"],
    [new TextEncoder().encode("IQ== 0\nIg== 1\n"), "is not a SentencePiece model"],
    [bytes(0x0A, 5, 0x0A), "a field of 5 bytes reaches over its end"],
    [bytes(0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF), "more than 10 bytes"],
    [bytes(0x0A), "ends inside a number"],
    [bytes(0x0B), "unknown wire type 3"],
    [bytes(0x08, 1), "pieces is a number"],
    [piece(0x18, 1), "piece 0 is not a text"],
    [piece(0x0A, 1, 0x61, 0x11, 0, 0, 0, 0, 0, 0, 0, 0), "piece 0 is not a text"],
    [piece(0x0A, 1, 0xFF), "piece 0 is not valid UTF-8"],
    [join(a, bytes(0x12, 2, 0x18, 3)), "model_type 3", "1 (Unigram), 2 (BPE)"],
    [join(a, bytes(0x12, 3, 0xC0, 1, 1)), "treat_whitespace_as_suffix"],
    [join(a, bytes(0x1A, 2, 0x28, 0)), "escape_whitespaces"],
    [join(a, bytes(0x1A, 3, 0x12, 1, 7)), "precompiled_charsmap has 1 bytes"],
    [join(a, a), `"a" occurs twice`],
  ];
  for (const [model, ...fragments] of bad) {
    assertRefuses(() => folder({}, model), "data", "tokenizer.model", ...fragments);
  }
  assert.equal(folder({}, a).vocabSize, 1, "what the message leaves out has defaults");
});

Deno.test("a tokenizer.model whose ids of the first and last token are -1 has neither", () => {
  const bytes = (...values: number[]) => Uint8Array.from(values);
  const minusOne = [...new Array(9).fill(0xFF), 1];
  const piece = (text: string, ...type: number[]) =>
    bytes(0x0A, 3 + type.length, 0x0A, 1, text.charCodeAt(0), ...type);
  const trainer = [0x18, 2, 0xC8, 0x02, ...minusOne, 0xD0, 0x02, ...minusOne];
  const parts = [
    piece("?", 0x18, 2),
    piece("a"),
    piece("b"),
    bytes(0x12, trainer.length, ...trainer),
  ];
  const tokenizer = folder({}, Uint8Array.from(parts.flatMap((part) => [...part])));
  assert.deepEqual([tokenizer.bosToken, tokenizer.eosToken], [null, null]);
  assert.deepEqual([...tokenizer.encode("ab")].slice(-2), [1, 2]);
  assert.equal(
    tokenizer.encode("ab").length,
    tokenizer.encode("ab", { addSpecialTokens: false }).length,
  );
});

Deno.test("pieces that would take minutes to take apart are refused at once", () => {
  const text = new TextEncoder().encode("ab".repeat(20_000));
  const varint = (value: number) => [value & 0x7F | 0x80, value >> 7 & 0x7F | 0x80, value >> 14];
  const content = [0x0A, ...varint(text.length), ...text];
  const model = Uint8Array.from([0x0A, ...varint(content.length), ...content, 0x12, 2, 0x18, 2]);
  assertRefuses(() => folder({}, model), "data", "tokenizer.model", "40000 characters", "too long");
});

Deno.test("parts of tokenizer.json that pieces cannot follow are refused by name", () => {
  const metaspace = { type: "Metaspace", replacement: "\u2581", prepend_scheme: "always" };
  const good = { pre_tokenizer: metaspace, decoder: metaspace };
  const unigram = (more: Record<string, unknown>) => ({
    ...good,
    model: { type: "Unigram", unk_id: 0, vocab: [["<unk>", 0]], ...more },
  });
  const bad: [json: Record<string, unknown>, ...fragments: string[]][] = [
    [{ ...good, normalizer: { type: "Lowercase" } }, `normalizer "Lowercase"`, "Precompiled"],
    [{ ...good, normalizer: { type: "Sequence" } }, `"normalizers"`],
    [{ ...good, normalizer: { type: "Prepend" } }, `"prepend"`],
    [{ ...good, normalizer: { type: "Replace", pattern: { Regex: "(" }, content: "" } }, "pattern"],
    [{ ...good, normalizer: { type: "Replace", pattern: { String: "a" } } }, `"content"`],
    [{ ...good, normalizer: { type: "Precompiled", precompiled_charsmap: "?" } }, "base64"],
    [{ ...good, pre_tokenizer: { type: "Punctuation" } }, `"Punctuation"`, "Metaspace"],
    [{ ...good, pre_tokenizer: { ...metaspace, prepend_scheme: "last" } }, `"last"`, "first"],
    [{ ...good, decoder: null }, "decoder null"],
    [{ ...good, decoder: { type: "WordPiece" } }, `"WordPiece"`, "ByteFallback"],
    [{ ...good, decoder: { ...metaspace, replacement: "_" } }, "_"],
    [{ ...good, added_tokens: [{ id: 1 }] }, "added_tokens[0]"],
    [{ ...good, added_tokens: [{ id: 1e9, content: "a" }] }, "added_tokens[0]", "1000000000"],
    [{ ...good, model: { type: "BPE", vocab: { a: -1 }, merges: [] } }, `token "a" is -1`],
    [{ ...good, model: { type: "BPE", vocab: { a: 0 }, merges: [], unk_token: "?" } }, `"?"`],
    [unigram({ vocab: [] }), `"vocab"`],
    [unigram({ vocab: [["a"]] }), "vocab[0]"],
    [unigram({ unk_id: 1 }), "unk_id is 1"],
  ];
  for (const [json, ...fragments] of bad) {
    assertRefuses(() => byteTokenizer({}, json), "data", "byte tokenizer", ...fragments);
  }
});

Deno.test("a vocabulary without an unknown token leaves out what it cannot spell", () => {
  const metaspace = { type: "Metaspace", prepend_scheme: "never" };
  const model = { type: "BPE", vocab: { a: 0, b: 1 }, merges: [] };
  const tokenizer = byteTokenizer({}, {
    added_tokens: [],
    pre_tokenizer: metaspace,
    decoder: metaspace,
    model,
  });
  const { ids, starts } = tokenizer.encodeWithOffsets("a\u4e00b?");
  assert.deepEqual([[...ids], [...starts]], [[0, 1], [0, 2]]);
});

Deno.test("added tokens stand where their flags allow, the longest first", () => {
  const { json } = tokenizerVectors().tokenizer_json[0]!;
  const special = json.added_tokens as Record<string, unknown>[];
  const added = (entries: Record<string, unknown>[]) =>
    byteTokenizer({ bosToken: null, eosToken: null }, {
      ...json,
      added_tokens: [...special, ...entries.map((entry, i) => ({ id: 500 + i, ...entry }))],
    });
  const found = (entries: Record<string, unknown>[], text: string) => {
    const { ids, starts, ends } = added(entries).encodeWithOffsets(text);
    return [...ids].flatMap((id, i) => id < 500 ? [] : [`${id - 500}@${starts[i]}-${ends[i]}`]);
  };
  const raw = { normalized: false };
  assert.deepEqual(found([{ content: "ab", ...raw }, { content: "abc", ...raw }], "abcab"), [
    "1@0-3",
    "0@3-5",
  ]);
  const whole = { content: "ab", single_word: true, ...raw };
  assert.deepEqual(found([whole], "ab cab abé (ab)"), ["0@0-2", "0@12-14"]);
  const wide = { content: "<x>", lstrip: true, rstrip: true, ...raw };
  assert.deepEqual(found([wide], "a \n<x>\u00a0 b"), ["0@3-6"]);
  assert.equal(shown(added([wide]), "a \n<x>\u00a0 b"), "a|<x>|b");
});
