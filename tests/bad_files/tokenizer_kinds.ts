/** Bad tokenizers of Hugging Face folders: tokenizer.json, its companions, and SentencePiece's tokenizer.model. */

import { TinyFolder } from "../cli/tiny_folder.ts";
import { copyFolder, editBytes, editJson, type Family, HUGE_BYTES } from "./kinds.ts";

const GOLDEN = decodeURIComponent(new URL("../golden/tokenizers", import.meta.url).pathname);
const json = (folder: string) => `${folder}/tokenizer.json`;
const FILE = /tokenizer\.json/;

/** The parts of tokenizer.json that are spoiled. */
interface TokenizerJson {
  added_tokens: unknown;
  model: { type: unknown; vocab: Record<string, unknown>; merges: unknown; unk_token?: unknown };
  pre_tokenizer: unknown;
  decoder: unknown;
  normalizer: unknown;
  post_processor: unknown;
}

const edit = (change: (json: TokenizerJson) => unknown) => (folder: string) =>
  editJson<TokenizerJson>(json(folder), (json) => void change(json));

/** A model and data for it. */
function makeTokenized(folder: string): void {
  using tiny = new TinyFolder();
  copyFolder(tiny.model, folder);
  Deno.copyFileSync(tiny.data, `${folder}/train.jsonl`);
}

const inspectData = (folder: string) => [
  ...["inspect", `${folder}/train.jsonl`, "--model", folder],
];

/** `tokenizer.json` and what lies beside it. */
export const TOKENIZER: Family = {
  name: "tokenizer.json",
  make: makeTokenized,
  args: inspectData,
  kinds: [
    ["none", (at) => Deno.removeSync(json(at)), /neither tokenizer\.json nor tokenizer\.model/],
    ["empty", (at) => Deno.writeTextFileSync(json(at), ""), FILE, /not valid JSON/],
    ["cut", (at) => editBytes(json(at), (all) => all.slice(0, -50)), FILE, /not valid JSON/],
    ["a list", (at) => Deno.writeTextFileSync(json(at), "[]"), FILE, /not a JSON object/],
    ["huge", (at) => Deno.truncateSync(json(at), HUGE_BYTES), FILE, /68719476736 bytes; expected/],
    ["no model", edit((json) => delete (json as Partial<TokenizerJson>).model), FILE, /"model"/],
    ["words for tokens", edit(({ model }) => model.type = "WordLevel"), FILE, /type "WordLevel"/],
    [
      "no vocabulary",
      edit(({ model }) => delete (model as Partial<typeof model>).vocab),
      FILE,
      /vocab/,
    ],
    [
      "a vocabulary that is a list of texts",
      edit(({ model }) => Object.assign(model, { vocab: ["a", "b"] })),
      FILE,
      /vocab/,
    ],
    ["an id in words", edit(({ model }) => model.vocab.a = "97"), FILE, /token "a" is "97"/],
    ["an id below zero", edit(({ model }) => model.vocab.a = -1), FILE, /token "a" is -1/],
    ["an id of 2^40", edit(({ model }) => model.vocab.a = 2 ** 40), FILE, /token "a" is 1099/],
    ["an id for two", edit(({ model }) => model.vocab.a = 98), FILE, /id 98.*"a".*"b"/],
    ["no merges", edit(({ model }) => model.merges = undefined), FILE, /merges/],
    ["merges that are a number", edit(({ model }) => model.merges = 7), FILE, /merges/],
    ["a merge of one part", edit(({ model }) => model.merges = [["t"]]), FILE, /merges\[0\]/],
    ["a merge of numbers", edit(({ model }) => model.merges = [[1, 2]]), FILE, /merges\[0\]/],
    [
      "a merge into no token",
      edit(({ model }) => model.merges = [["t", "h"], ["q", "z"]]),
      FILE,
      /merges\[1\].*"qz"/,
    ],
    [
      "an unknown token that is none",
      edit(({ model }) => model.unk_token = "<nope>"),
      FILE,
      /unk_token "<nope>"/,
    ],
    ["added tokens that are none", edit((json) => json.added_tokens = 3), FILE, /"added_tokens"/],
    [
      "an added token without an id",
      edit((json) => json.added_tokens = [{ content: "<s>" }]),
      FILE,
      /added_tokens\[0\] has no id/,
    ],
    [
      "an added token of a huge id",
      edit((json) => json.added_tokens = [{ id: 2 ** 30, content: "<s>" }]),
      FILE,
      /added_tokens\[0\] is 1073741824/,
    ],
    [
      "no words",
      edit((json) => json.pre_tokenizer = json.decoder = null),
      FILE,
      /neither the decoder nor the pre_tokenizer/,
    ],
    [
      "an unknown pre_tokenizer",
      edit((json) => json.pre_tokenizer = { type: "Guess" }),
      FILE,
      /Guess/,
    ],
    [
      "a broken pattern",
      edit((json) => {
        json.pre_tokenizer = {
          type: "Sequence",
          pretokenizers: [
            { type: "Split", pattern: { Regex: "(a" }, behavior: "Isolated", invert: false },
            { type: "ByteLevel", add_prefix_space: false, use_regex: false },
          ],
        };
      }),
      FILE,
      /\(a/,
    ],
    ["an unknown normalizer", edit((json) => json.normalizer = { type: "Rot13" }), FILE, /Rot13/],
    [
      "an unknown post_processor",
      edit((json) => json.post_processor = { type: "Wrap" }),
      FILE,
      /Wrap/,
    ],
    [
      "tokenizer_config.json is no JSON",
      (at) => Deno.writeTextFileSync(`${at}/tokenizer_config.json`, "{"),
      /tokenizer_config\.json is not valid JSON/,
    ],
    [
      "a template that does not end",
      (at) => Deno.writeTextFileSync(`${at}/chat_template.jinja`, "{% for m in messages %}"),
      /chat template of .*chat_template\.jinja does not parse: it ends inside/,
    ],
    [
      "a template that is not UTF-8",
      (at) => Deno.writeFileSync(`${at}/chat_template.jinja`, Uint8Array.of(0xff)),
      /chat_template\.jinja is not valid UTF-8/,
    ],
  ],
};

const proto = (folder: string) => `${folder}/tokenizer.model`;
const PROTO = /tokenizer\.model/;
const utf8 = new TextEncoder();

/** A field of a protobuf message: a number, or bytes with their length. */
function field(number: number, value: number | Uint8Array): number[] {
  return typeof value === "number"
    ? [...varint(number * 8), ...varint(value)]
    : [...varint(number * 8 + 2), ...varint(value.length), ...value];
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return [...bytes, value];
}

/** A piece with its text, score and type. */
function piece(text: Uint8Array, score = 0): number[] {
  const bits = new Uint8Array(Float32Array.of(score).buffer);
  return field(1, Uint8Array.from([...field(1, text), 2 * 8 + 5, ...bits]));
}

/** Writes a message. */
const write = (...bytes: number[]) => (folder: string) =>
  Deno.writeFileSync(proto(folder), Uint8Array.from(bytes));
/** Appends to a good one, of which the last of a field counts. */
const append = (...bytes: number[]) => (folder: string) =>
  Deno.writeFileSync(proto(folder), Uint8Array.from(bytes), { append: true });
const trainer = (...fields: number[]) => append(...field(2, Uint8Array.from(fields)));

/** `tokenizer.model`. */
export const SENTENCEPIECE: Family = {
  name: "tokenizer.model",
  make(folder) {
    makeTokenized(folder);
    Deno.removeSync(json(folder));
    Deno.copyFileSync(`${GOLDEN}/bpe.model`, proto(folder));
  },
  args: inspectData,
  kinds: [
    ["empty", write(), PROTO, /it has no pieces/],
    ["text", (at) => Deno.writeTextFileSync(proto(at), "version https://git-lfs"), PROTO, /not a/],
    ["cut", (at) => editBytes(proto(at), (all) => all.slice(0, -3)), PROTO, /over its end|ends/],
    [
      "huge",
      (at) => Deno.truncateSync(proto(at), HUGE_BYTES),
      PROTO,
      /68719476736 bytes; expected/,
    ],
    ["a field of 2^40 bytes", write(10, ...varint(2 ** 40)), PROTO, /1099511627776 bytes reaches/],
    ["a number without end", append(...Array(12).fill(0xff)), PROTO, /more than 10 bytes/],
    ["an unknown wire type", append(8 * 9 + 7), PROTO, /field 9 has the unknown wire type 7/],
    ["a piece that is a number", append(...field(1, 5)), PROTO, /pieces is a number/],
    [
      "a piece without text",
      append(...field(1, Uint8Array.of())),
      PROTO,
      /piece \d+ is not a text/,
    ],
    [
      "a piece not in UTF-8",
      append(...piece(Uint8Array.of(0xff))),
      PROTO,
      /piece \d+ is not valid/,
    ],
    ["a piece twice", append(...piece(utf8.encode("<s>"))), PROTO, /token "<s>" occurs twice/],
    [
      "a score that is no number",
      append(...piece(utf8.encode("zzz"), NaN)),
      PROTO,
      /score of token "zzz" is NaN/,
    ],
    ["words for pieces", trainer(...field(3, 3)), PROTO, /model_type 3 is not supported/],
    [
      "white space behind words",
      trainer(...field(3, 2), ...field(24, 1)),
      PROTO,
      /treat_whitespace_as_suffix is true/,
    ],
    [
      "an added token without content",
      (at) =>
        Deno.writeTextFileSync(
          `${at}/tokenizer_config.json`,
          '{"added_tokens_decoder":{"300":{"special":true}}}',
        ),
      /tokenizer_config\.json: added_tokens_decoder 300 has no content/,
    ],
    [
      "an added token without an id",
      (at) => Deno.writeTextFileSync(`${at}/added_tokens.json`, '{"<x>":"300"}'),
      /added_tokens\.json: "<x>" has no id/,
    ],
  ],
};
