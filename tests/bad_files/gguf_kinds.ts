/** Bad GGUF files: header, metadata and tensors, the tokenizer in them, and models split into parts. */

import { TinyFolder } from "../cli/tiny_folder.ts";
import {
  buildGguf,
  ByteWriter,
  type GgufBuilderTensor,
  type GgufContent,
  type GgufField,
} from "../support/gguf_builder.ts";
import { splitGguf, splitPath } from "../support/split_gguf.ts";
import { type WholeGguf, wholeGguf, wholeGgufContent } from "../support/whole_gguf.ts";
import { editBytes, type Family, HUGE_BYTES } from "./kinds.ts";

const path = (folder: string) => `${folder}/model.gguf`;
const FILE = /model\.gguf/;
const MAGIC = new TextEncoder().encode("GGUF");

/** Writes a model of changed content. */
const built = (change: (content: WholeGguf) => Partial<GgufContent> | void) => (folder: string) => {
  const content = wholeGgufContent();
  const more = change(content) ?? {};
  const { metadata, tensors } = content;
  Deno.writeFileSync(path(folder), buildGguf({ metadata: [...metadata], tensors, ...more }));
};

const string = (value: string): GgufField => ({ type: "string", value });
const u32 = (value: number): GgufField => ({ type: "u32", value });
const set = (key: string, field: GgufField) =>
  built(({ metadata }) => void metadata.set(key, field));
const without = (key: string) => built(({ metadata }) => void metadata.delete(key));

const tensor = (change: Partial<GgufBuilderTensor>) =>
  built(({ tensors }) => {
    const at = tensors.findIndex(({ name }) => name === "blk.0.ffn_up.weight");
    tensors[at] = { ...tensors[at]!, ...change };
  });

/** A file of one metadata entry, hand-made. */
const entry = (write: (writer: ByteWriter) => ByteWriter) => (folder: string) => {
  const writer = new ByteWriter().raw(MAGIC).u32(3).u64(0).u64(1).string("general.name");
  Deno.writeFileSync(path(folder), write(writer).bytes());
};

/** The file as a model. */
export const GGUF: Family = {
  name: "GGUF",
  make: (folder) => Deno.writeFileSync(path(folder), wholeGguf()),
  args: (folder) => ["inspect", path(folder)],
  kinds: [
    ["empty", (at) => Deno.writeFileSync(path(at), new Uint8Array()), FILE, /magic number/],
    ["another magic number", (at) => editBytes(path(at), (all) => all.fill(0x58, 3, 4)), /"GGUF"/],
    ["version 1", built(() => ({ version: 1 })), FILE, /version is 1; expected 2 or 3/],
    ["big-endian", built(() => ({ version: 0x03000000 })), FILE, /big-endian/],
    ["2^60 tensors", built(() => ({ tensorCount: 2n ** 60n })), FILE, /number of tensors is 115/],
    ["2^60 entries", built(() => ({ metadataCount: 2n ** 60n })), FILE, /metadata entries is 115/],
    [
      "a cut header",
      (at) => editBytes(path(at), (all) => all.slice(0, 2500)),
      FILE,
      /"tokenizer\.ggml\.tokens" has 264 elements, more than the rest/,
    ],
    ["cut weights", (at) => editBytes(path(at), (all) => all.slice(0, -9000)), FILE, /truncated/],
    [
      "a text of 2^63 bytes",
      entry((to) => to.u32(8).u64(2n ** 63n)),
      FILE,
      /"general\.name".*most/,
    ],
    [
      "a text of 10 MB in a huge file of zeros",
      (at) => {
        entry((to) => to.u32(8).u64(10_000_000))(at);
        Deno.truncateSync(path(at), HUGE_BYTES);
      },
      FILE,
      /"general\.name" is 10000000; expected at most/,
    ],
    ["a list of 2^40", entry((to) => to.u32(9).u32(4).u64(2 ** 40)), FILE, /"general\.name".*most/],
    [
      "a list longer than the file",
      entry((to) => to.u32(9).u32(4).u64(1_000_000)),
      FILE,
      /"general\.name" has 1000000 elements, more than the rest of the file/,
    ],
    [
      "lists of lists of lists",
      entry((to) => {
        to.u32(9);
        for (let depth = 0; depth < 9; depth++) to.u32(9).u64(1);
        return to;
      }),
      FILE,
      /"general\.name" nests arrays deeper than 4/,
    ],
    ["a value of an unknown type", entry((to) => to.u32(77)), FILE, /"general\.name".*type 77/],
    ["a text that is not UTF-8", entry((to) => to.u32(8).u64(1).u8(0xff)), FILE, /not valid UTF-8/],
    [
      "an alignment of 24",
      set("general.alignment", u32(24)),
      FILE,
      /general\.alignment is 24; expected a power of two/,
    ],
    [
      "an unknown architecture",
      set("general.architecture", string("mamba")),
      FILE,
      /general\.architecture "mamba"/,
    ],
    ["no architecture", without("general.architecture"), FILE, /general\.architecture \(missing\)/],
    ["no width", without("llama.embedding_length"), FILE, /embedding_length is missing/],
    ["a width in words", set("llama.embedding_length", string("64")), /embedding_length is "64"/],
    ["a mixture of experts", set("llama.expert_count", u32(8)), FILE, /expert_count 8/],
    [
      "billions of layers",
      set("llama.block_count", u32(2 ** 32 - 1)),
      FILE,
      /block_count is 4294967295/,
    ],
    ["an unknown scaling", set("llama.rope.scaling.type", string("yarn")), FILE, /yarn/],
    ["an unknown tensor type", tensor({ type: 4 }), FILE, /"blk\.0\.ffn_up\.weight".*type 4/],
    [
      "a tensor type that is not computed with",
      tensor({ type: 28, dimensions: [32, 96] }),
      FILE,
      /up_proj\.weight" is stored as F64; expected one of F32/,
    ],
    [
      "rows of half a block",
      tensor({ type: 12 }),
      FILE,
      /"blk\.0\.ffn_up\.weight" has rows of 64 elements; expected a multiple of 256 for Q4_K/,
    ],
    ["a shape of 2^80", tensor({ dimensions: [2 ** 40, 2 ** 40] }), FILE, /ffn_up.*too large/],
    ["nine dimensions", tensor({ dimensions: Array(9).fill(1) }), FILE, /ffn_up.*9 dimensions/],
    ["an offset past the end", tensor({ offset: 2 ** 40 }), FILE, /ffn_up.*truncated/],
    ["overlapping tensors", tensor({ offset: 0 }), FILE, /overlaps the one before it/],
    [
      "a tensor twice",
      tensor({ name: "blk.0.ffn_gate.weight" }),
      FILE,
      /"blk\.0\.ffn_gate\.weight" occurs twice/,
    ],
    [
      "a tensor too many",
      tensor({ name: "blk.0.ssm_in.weight" }),
      FILE,
      /lacks "model\.layers\.0\.mlp\.up_proj\.weight"/,
    ],
    [
      "a transposed tensor",
      tensor({ dimensions: [96, 64] }),
      FILE,
      /up_proj\.weight" has shape \[64, 96\]; expected \[96, 64\]/,
    ],
  ],
};

/** The tokenizer in the file. */
export const GGUF_TOKENIZER: Family = {
  name: "tokenizer of a GGUF",
  make(folder) {
    using tiny = new TinyFolder();
    Deno.copyFileSync(tiny.data, `${folder}/train.jsonl`);
    Deno.writeFileSync(path(folder), wholeGguf());
  },
  args: (folder) => ["inspect", `${folder}/train.jsonl`, "--model", path(folder)],
  kinds: [
    ["none", without("tokenizer.ggml.model"), FILE, /tokenizer\.ggml\.model/],
    ["an unknown kind", set("tokenizer.ggml.model", string("rwkv")), FILE, /model.*"rwkv"/],
    ["an unknown cut into words", set("tokenizer.ggml.pre", string("abc")), FILE, /pre.*"abc"/],
    ["no tokens", without("tokenizer.ggml.tokens"), FILE, /"tokenizer\.ggml\.tokens" is missing/],
    [
      "tokens that are numbers",
      set("tokenizer.ggml.tokens", { type: "i32s", value: [1, 2] }),
      FILE,
      /"tokenizer\.ggml\.tokens" is not an array of strings/,
    ],
    ["no merges", without("tokenizer.ggml.merges"), FILE, /"tokenizer\.ggml\.merges" is missing/],
    [
      "a merge of one part",
      set("tokenizer.ggml.merges", { type: "strings", value: ["the"] }),
      FILE,
      /merge "the" is not two parts/,
    ],
    [
      "a merge into no token",
      set("tokenizer.ggml.merges", { type: "strings", value: ["t h", "q z"] }),
      FILE,
      /merges\[1\] \["q","z"\]: "qz" is no token/,
    ],
    [
      "a token twice",
      built(({ metadata }) => {
        const field = metadata.get("tokenizer.ggml.tokens") as { value: string[] };
        field.value[7] = field.value[8]!;
      }),
      FILE,
      /token ".*" occurs twice/,
    ],
    [
      "types of other tokens",
      set("tokenizer.ggml.token_type", { type: "i32s", value: [1, 1] }),
      FILE,
      /tokenizer\.ggml\.token_type has 2 values for 264 tokens/,
    ],
    [
      "an end that is no token",
      set("tokenizer.ggml.eos_token_id", u32(9999)),
      FILE,
      /tokenizer\.ggml\.eos_token_id is 9999; expected .*264/,
    ],
    [
      "a template that is a number",
      set("tokenizer.chat_template", u32(3)),
      FILE,
      /"tokenizer\.chat_template" is not a string/,
    ],
    [
      "a template that does not end",
      set("tokenizer.chat_template", string("{% for a in b %}")),
      /chat template/,
    ],
  ],
};

const STEM = "tiny";
const PARTS = 3;
const part = (folder: string, index: number) => splitPath(`${folder}/${STEM}`, index, PARTS);

/** Rewrites the parts of a split model with changed metadata. */
const parts = (changes: Parameters<typeof splitGguf>[1]) => (folder: string) =>
  splitGguf(PARTS, changes).forEach((bytes, index) =>
    Deno.writeFileSync(part(folder, index), bytes)
  );

/** Parts. */
export const SPLIT_GGUF: Family = {
  name: "split GGUF",
  make: (folder) => parts({})(folder),
  args: (folder) => ["inspect", part(folder, 1)],
  kinds: [
    [
      "a missing part",
      (at) => Deno.removeSync(part(at, 2)),
      /tiny-00003-of-00003\.gguf" is missing: part 3 of the 3/,
    ],
    [
      "a cut part",
      (at) => editBytes(part(at, 1), (all) => all.slice(0, -500)),
      /tiny-00002-of-00003\.gguf: .*truncated/,
    ],
    [
      "the same part twice",
      (at) => Deno.copyFileSync(part(at, 0), part(at, 1)),
      /tiny-00002-of-00003\.gguf: split\.no is 0; expected 1/,
    ],
    [
      "a part of another count",
      parts({ 2: { "split.count": u32(4) } }),
      /tiny-00003-of-00003\.gguf: split\.count is 4; expected 3/,
    ],
    [
      "no number",
      parts({ 1: { "split.no": null } }),
      /tiny-00002-of-00003\.gguf: split\.no is missing/,
    ],
    [
      "a part of another model",
      parts({ 1: { "general.architecture": string("qwen2") } }),
      /tiny-00002-of-00003\.gguf: general\.architecture is not what tiny-00001/,
    ],
    [
      "more tensors than there are",
      parts({
        0: { "split.tensors.count": u32(22) },
        1: { "split.tensors.count": u32(22) },
        2: { "split.tensors.count": u32(22) },
      }),
      /tiny-00001-of-00003\.gguf: split\.tensors\.count is 22; expected 21/,
    ],
    [
      "a part that is no GGUF",
      (at) => Deno.writeTextFileSync(part(at, 2), "version https://git-lfs.github.com/spec/v1"),
      /tiny-00003-of-00003\.gguf: the file does not start with "GGUF"/,
    ],
  ],
};
