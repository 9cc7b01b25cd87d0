/** Tokenizers that go into GGUF metadata and come back the same. */
import assert from "node:assert/strict";
import { gunzipSync } from "node:zlib";
import {
  loadTokenizer,
  makeTokenizer,
  type Tokenizer,
  tokenizerFiles,
} from "../../../src/data/tokenizer.ts";
import { SPELL_BYTES, splitAt } from "../../../src/data/tokenizer_json.ts";
import { PRE_TOKENIZERS } from "../../../src/data/tokenizer_pre.ts";
import { tokenizerFields } from "../../../src/export/gguf_tokenizer.ts";
import { GgufFile } from "../../../src/io/gguf.ts";
import { ggufContent } from "../../../src/io/gguf_writer.ts";
import { tinyConfig } from "../../support/tiny_model.ts";
import { byteTokenizer, byteTokenizerParts } from "../../support/byte_tokenizer.ts";
import { withTempDir } from "../../support/temp_dir.ts";
import { piecesGguf, TOKENIZERS, tokenizerVectors } from "../../support/tokenizer_vectors.ts";

const GOLDEN = new URL("../../golden/smollm2/", import.meta.url).pathname;

interface Owner {
  /** Where the tokenizer's files are. */
  path?: string;
  /** Rows of the embedding; as many as tokens unless given. */
  rows?: number;
  bos?: number | null;
  stops?: number[];
}

/** Writes a tokenizer's metadata to a file. */
async function save(tokenizer: Tokenizer, file: string, owner: Owner = {}): Promise<void> {
  const { path = "nowhere", rows = tokenizer.vocabSize, bos = null } = owner;
  const source = {
    path,
    config: { ...tinyConfig("llama"), vocab_size: rows },
    specialTokens: { bos, eos: [] },
  };
  const stopTokens = owner.stops ?? tokenizer.eosTokenIds;
  const parts: Uint8Array[] = [];
  for await (const part of ggufContent(tokenizerFields(source, { tokenizer, stopTokens }), [])) {
    parts.push(part);
  }
  Deno.writeFileSync(file, new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer()));
}

/** The tokenizer that is read from the metadata of another. */
async function again(tokenizer: Tokenizer, dir: string, owner: Owner = {}): Promise<Tokenizer> {
  await save(tokenizer, `${dir}/a.gguf`, owner);
  return loadTokenizer(`${dir}/a.gguf`);
}

Deno.test("SmolLM2's tokenizer.json gives the ids of its vectors from GGUF metadata", () =>
  withTempDir(async (dir) => {
    const json = gunzipSync(Deno.readFileSync(`${GOLDEN}tokenizer.json.gz`));
    Deno.writeFileSync(`${dir}/tokenizer.json`, json);
    for (const name of ["tokenizer_config.json", "chat_template.jinja"]) {
      Deno.copyFileSync(GOLDEN + name, `${dir}/${name}`);
    }
    const first = loadTokenizer(dir);
    const second = await again(first, dir, { path: dir });
    const vectors = JSON.parse(Deno.readTextFileSync(`${GOLDEN}tokenizer_vectors.json`));
    const { bosToken, eosToken, eosTokenIds, chatTemplate, specialTokens } = second;
    assert.deepEqual(
      { bosToken, eosToken, eosTokenIds, chatTemplate, specialTokens },
      {
        bosToken: first.bosToken,
        eosToken: first.eosToken,
        eosTokenIds: first.eosTokenIds,
        chatTemplate: first.chatTemplate,
        specialTokens: first.specialTokens,
      },
    );
    assert.ok(vectors.length >= 30);
    for (const { text, ids_with_special } of vectors) {
      assert.deepEqual([...second.encode(text)], ids_with_special, text);
    }
    using file = GgufFile.open(`${dir}/a.gguf`);
    assert.equal(file.string("tokenizer.ggml.pre"), "smollm");
  }));

Deno.test("vocabularies of pieces give the ids of their vectors from GGUF metadata", () =>
  withTempDir(async (dir) => {
    let count = 0;
    for (const { name, json, vectors } of tokenizerVectors().tokenizer_json) {
      if ((json.model as Record<string, unknown>).type !== "BPE") continue;
      if (JSON.stringify(json.pre_tokenizer).includes('"Metaspace"')) continue;
      const parts = { ...byteTokenizerParts(), where: name, json, bosToken: "<s>" };
      const first = makeTokenizer(parts);
      // It has no words for tokens that take white space, touch no letters, or are sought in text as it is spelled.
      const added = (json.added_tokens as { content: string; special: boolean }[])
        .filter(({ special }) => !special);
      const second = await again(first, dir, { path: dir });
      for (const { text, ids } of vectors) {
        if (added.some(({ content }) => text.includes(content))) continue;
        assert.deepEqual([...second.encode(text, { addSpecialTokens: false })], ids, name + text);
        count++;
      }
    }
    assert.ok(count > 40, `${count}`);
  }));

Deno.test("tokenizer.model gives GGUF its own scores and types", () =>
  withTempDir(async (dir) => {
    for (const name of ["bpe", "bpe_plain"]) {
      const folder = `${dir}/${name}`;
      Deno.mkdirSync(folder);
      Deno.copyFileSync(`${TOKENIZERS}/${name}.model`, `${folder}/tokenizer.model`);
      const second = await again(loadTokenizer(folder), dir, { path: folder });
      for (const { text, ids } of tokenizerVectors().sentencepiece[name]!) {
        assert.deepEqual([...second.encode(text, { addSpecialTokens: false })], ids, text);
      }
      const pieces = tokenizerVectors().gguf_pieces.find((one) => one.name === name);
      using file = GgufFile.open(`${dir}/a.gguf`);
      assert.deepEqual(file.strings("tokenizer.ggml.tokens"), pieces?.tokens);
      assert.deepEqual(file.numbers("tokenizer.ggml.scores"), pieces?.scores.map(Math.fround));
      assert.deepEqual(file.numbers("tokenizer.ggml.token_type"), pieces?.types);
    }
  }));

Deno.test("a base's own tokenizer metadata go along as they are", () =>
  withTempDir(async (dir) => {
    const [pieces] = tokenizerVectors().gguf_pieces;
    const base = `${dir}/base.gguf`;
    Deno.writeFileSync(
      base,
      piecesGguf(pieces!, [
        ["tokenizer.ggml.eos_token_id", { type: "u32", value: 2 }],
        ["tokenizer.chat_template", { type: "string", value: "{{ messages }}" }],
        ["tokenizer.ggml.odd", { type: "f32", value: -0.5 }],
        ["tokenizer.ggml.whole", { type: "f32", value: 2 }],
        ["tokenizer.ggml.negative", { type: "i32", value: -1 }],
        ["tokenizer.ggml.long", { type: "u64", value: 2 ** 40 }],
        ["tokenizer.ggml.weights", { type: "f32s", value: [0.5, -2] }],
      ]),
    );
    await save(loadTokenizer(base), `${dir}/a.gguf`, { path: base });
    using before = GgufFile.open(base);
    using after = GgufFile.open(`${dir}/a.gguf`);
    assert.deepEqual([...after.metadata], [...before.metadata]);
    for (const key of before.metadata.keys()) {
      assert.deepEqual(after.storedValue(key), before.storedValue(key), key);
    }
  }));

Deno.test("every kind of pre-tokenizer is found by what it does", () =>
  withTempDir(async (dir) => {
    for (const [name, pre] of PRE_TOKENIZERS) {
      const tokenizer = byteTokenizer({}, {
        normalizer: pre.composes ? { type: "NFC" } : null,
        pre_tokenizer: {
          type: "Sequence",
          pretokenizers: [...pre.patterns.map(splitAt), { ...SPELL_BYTES }],
        },
        model: {
          ...byteTokenizerParts().json.model as Record<string, unknown>,
          ignore_merges: pre.ignoresMerges ?? false,
        },
      });
      await save(tokenizer, `${dir}/a.gguf`);
      using file = GgufFile.open(`${dir}/a.gguf`);
      const found = PRE_TOKENIZERS.get(file.string("tokenizer.ggml.pre") ?? "");
      // Whether a begin token is added, the metadata say by themselves.
      assert.deepEqual({ ...found, addsBos: false }, { ...pre, addsBos: false }, name);
    }
  }));

Deno.test("ids that end an answer, begin a text and fill have keys of their own", () =>
  withTempDir(async (dir) => {
    const config = { pad_token: { content: "</s>" }, unk_token: "<s>" };
    const tokenizer = byteTokenizer({ config });
    const [bos, eos, turn, end] = [260, 261, 262, 263];
    const rows = 270;
    await save(tokenizer, `${dir}/a.gguf`, { rows, stops: [eos, turn, end] });
    using file = GgufFile.open(`${dir}/a.gguf`);
    const id = (name: string) => file.number(`tokenizer.ggml.${name}_token_id`);
    assert.deepEqual(
      ["bos", "eos", "eot", "eom", "padding", "unknown"].map(id),
      [bos, eos, end, turn, eos, bos],
    );
    assert.deepEqual(
      ["bos", "eos"].map((name) => file.boolean(`tokenizer.ggml.add_${name}_token`)),
      [false, false],
    );
    const tokens = file.strings("tokenizer.ggml.tokens");
    assert.deepEqual(tokens?.slice(262, 266), ["<|turn|>", "<|end|>", "[PAD264]", "[PAD265]"]);
    assert.deepEqual(file.numbers("tokenizer.ggml.token_type")?.slice(258, 266), [
      ...[1, 1, 3, 3, 3, 3, 5, 5],
    ]);
    const second = loadTokenizer(`${dir}/a.gguf`);
    assert.equal(second.vocabSize, rows);
    assert.deepEqual(second.eosTokenIds, [eos, end, turn]);
  }));

Deno.test("a tokenizer that begins and ends every text still does", () =>
  withTempDir(async (dir) => {
    const item = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
    const tokenizer = byteTokenizer({}, {
      post_processor: {
        type: "TemplateProcessing",
        single: [item("<s>"), { Sequence: { id: "A", type_id: 0 } }, item("</s>")],
        pair: [],
        special_tokens: {
          "<s>": { id: "<s>", ids: [260], tokens: ["<s>"] },
          "</s>": { id: "</s>", ids: [261], tokens: ["</s>"] },
        },
      },
    });
    const second = await again(tokenizer, dir);
    assert.deepEqual([...second.encode("a")], [260, 97, 261]);
  }));

Deno.test("tokenizers that GGUF has no words for are refused by what it is", () =>
  withTempDir(async (dir) => {
    const pieces = tokenizerVectors().tokenizer_json;
    const unigram = pieces.find(({ json }) =>
      (json.model as Record<string, unknown>).type === "Unigram"
    );
    const bpe = pieces.find(({ json }) => (json.model as Record<string, unknown>).type === "BPE");
    const composing = { ...bpe!.json, normalizer: { type: "NFKC" } };
    const metaspace = (more: Record<string, unknown>) => ({
      ...bpe!.json,
      normalizer: null,
      pre_tokenizer: { type: "Metaspace", ...more },
    });
    const refused: [Record<string, unknown>, RegExp][] = [
      [unigram!.json, /^x: GGUF files of these architectures hold no Unigram vocabulary/],
      [composing, /^x: GGUF files cannot say \{"type":"NFKC"\}/],
      [
        metaspace({ prepend_scheme: "first" }),
        /^x: GGUF files cannot say .*"prepend_scheme":"first"/,
      ],
      [metaspace({ prepend_scheme: "always" }), /^x: GGUF files cannot say .*"always"/],
      [metaspace({}), /^x: GGUF files cannot say \{"type":"Metaspace"\}/],
      [
        metaspace({ prepend_scheme: "never", replacement: "_" }),
        /^x: GGUF files cannot say .*"replacement":"_"/,
      ],
      [
        { ...byteTokenizerParts().json, pre_tokenizer: { ...splitAt("a+"), type: "Split" } },
        /^x: no pre-tokenizer of GGUF files cuts text as .*a\+/,
      ],
    ];
    for (const [json, message] of refused) {
      const tokenizer = makeTokenizer({ ...byteTokenizerParts(), where: "x", json });
      await assert.rejects(save(tokenizer, `${dir}/a.gguf`), { kind: "data", message });
    }
  }));

Deno.test("what a folder with the converted tokenizer's files has is converted once more alike", () =>
  withTempDir(async (dir) => {
    const first = await again(byteTokenizer(), dir);
    for (const [name, text] of tokenizerFiles(first)) {
      Deno.writeTextFileSync(`${dir}/${name}`, text);
    }
    await save(loadTokenizer(dir), `${dir}/b.gguf`, { path: dir });
    using before = GgufFile.open(`${dir}/a.gguf`);
    using after = GgufFile.open(`${dir}/b.gguf`);
    assert.deepEqual([...after.metadata], [...before.metadata]);
  }));
