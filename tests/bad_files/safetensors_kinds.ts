/** Bad safetensors: in one file, and in shards with an index. */

import { TinyFolder } from "../cli/tiny_folder.ts";
import { encodeSafetensors } from "../support/encode_safetensors.ts";
import {
  copyFolder,
  editBytes,
  editHeader,
  editJson,
  editTensor,
  editTensors,
  type Family,
  HUGE_BYTES,
  readTensors,
  safetensorsOf,
} from "./kinds.ts";

const DOWN = "model.layers.1.mlp.down_proj.weight";
const file = (folder: string) => `${folder}/model.safetensors`;
const index = (folder: string) => `${folder}/model.safetensors.index.json`;
const shard = (folder: string, number: number) =>
  `${folder}/model-0000${number}-of-00002.safetensors`;
const utf8 = new TextEncoder();

const FILE = /model\.safetensors/;
const INDEX = /model\.safetensors\.index\.json/;
const FIELD = /"model\.layers\.1\.mlp\.down_proj\.weight"/;

/** Puts a good model in a folder. */
export function makeModel(folder: string): void {
  using tiny = new TinyFolder();
  copyFolder(tiny.model, folder);
}

/** `model.safetensors`. */
export const SAFETENSORS: Family = {
  name: "safetensors",
  make: makeModel,
  args: (folder) => ["inspect", folder],
  kinds: [
    ["empty", (at) => Deno.writeFileSync(file(at), new Uint8Array()), FILE, /0 bytes/],
    ["7 bytes", (at) => editBytes(file(at), (all) => all.slice(0, 7)), FILE, /7 bytes/],
    [
      "a header of 2^63 bytes",
      (at) => Deno.writeFileSync(file(at), safetensorsOf(2n ** 63n, utf8.encode("{}"))),
      FILE,
      /header length is 9223372036854775808/,
    ],
    [
      "a header longer than the file",
      (at) => Deno.writeFileSync(file(at), safetensorsOf(1_000_000, utf8.encode("{}"))),
      FILE,
      /header length is 1000000, but the file has 10 bytes/,
    ],
    [
      "a header of 90 MB in a huge file",
      (at) => {
        Deno.writeFileSync(file(at), safetensorsOf(90_000_000, utf8.encode("{}")));
        Deno.truncateSync(file(at), HUGE_BYTES);
      },
      FILE,
      /header length is 90000000; expected at most/,
    ],
    [
      "a header full of tensors of no bytes",
      (at) =>
        editHeader(file(at), (header) => {
          const nothing = { dtype: "F32", shape: [0], data_offsets: [0, 0] };
          const count = 21_000;
          for (let i = 0; i < count; i++) header[`model.layers.${i}.mlp.experts.weight`] = nothing;
        }),
      FILE,
      /"model\.layers\.0\.mlp\.experts\.weight", which its configuration does not explain/,
    ],
    [
      "a header of no bytes",
      (at) => Deno.writeFileSync(file(at), safetensorsOf(0, new Uint8Array())),
      FILE,
      /header does not start with "\{"/,
    ],
    [
      "a header that is no JSON",
      (at) => editHeader(file(at), () => "{model}"),
      FILE,
      /not valid JSON/,
    ],
    ["a header that is a list", (at) => editHeader(file(at), () => "[]"), FILE, /start with "\{"/],
    [
      "a header that is not UTF-8",
      (at) => editHeader(file(at), () => Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d)),
      FILE,
      /header is not valid UTF-8/,
    ],
    [
      "a tensor twice",
      (at) =>
        editHeader(file(at), (header) => {
          const entry = `${JSON.stringify(DOWN)}:${JSON.stringify(header[DOWN])}`;
          return `{${entry},${JSON.stringify(header).slice(1)}`;
        }),
      FILE,
      FIELD,
      /occurs twice/,
    ],
    [
      "a header nested without end",
      (at) => editHeader(file(at), () => `{"a":${"[".repeat(50_000)}${"]".repeat(50_000)}}`),
      FILE,
      /nests deeper than 3/,
    ],
    [
      "a negative size",
      (at) => editHeader(file(at), (header) => void (header[DOWN]!.shape = [-64, 96])),
      FILE,
      /-64/,
    ],
    [
      "half a row",
      (at) => editHeader(file(at), (header) => void (header[DOWN]!.shape = [63.5, 96])),
      FILE,
      /63\.5/,
    ],
    [
      "a shape that is no list",
      (at) => editHeader(file(at), (header) => void (header[DOWN]!.shape = "64x96")),
      FILE,
      FIELD,
      /shape "64x96"/,
    ],
    [
      "a shape beyond all numbers",
      (at) => editHeader(file(at), (header) => void (header[DOWN]!.shape = [2 ** 40, 2 ** 40])),
      FILE,
      FIELD,
      /too large/,
    ],
    [
      "an unknown dtype",
      (at) => editHeader(file(at), (header) => void (header[DOWN]!.dtype = "F4")),
      FILE,
      FIELD,
      /dtype "F4"/,
    ],
    [
      "no dtype",
      (at) => editHeader(file(at), (header) => void (delete header[DOWN]!.dtype)),
      FILE,
      FIELD,
      /dtype undefined/,
    ],
    [
      "an unknown field",
      (at) => editHeader(file(at), (header) => void Object.assign(header[DOWN]!, { strides: [1] })),
      FILE,
      FIELD,
      /unknown field "strides"/,
    ],
    [
      "an entry that is a number",
      (at) => editHeader(file(at), (header) => void Object.assign(header, { extra: 3 })),
      FILE,
      /tensor "extra" is not described by an object/,
    ],
    [
      "one offset",
      (at) => editHeader(file(at), (header) => void (header[DOWN]!.data_offsets = [0])),
      FILE,
      FIELD,
      /data_offsets \[0\]/,
    ],
    [
      "offsets the wrong way round",
      (at) => editHeader(file(at), (header) => void (header[DOWN]!.data_offsets = [24576, 0])),
      FILE,
      FIELD,
      /-24576 bytes; expected 24576/,
    ],
    [
      "offsets of another size",
      (at) => editHeader(file(at), (header) => void (header[DOWN]!.dtype = "F64")),
      FILE,
      FIELD,
      /expected 49152 bytes for F64 \[64,96\]/,
    ],
    [
      "overlapping tensors",
      (at) =>
        editHeader(file(at), (header) => {
          header["model.norm.weight"]!.data_offsets = [0, 256];
        }),
      FILE,
      /starts at data offset 0; expected/,
    ],
    [
      "a gap in the payload",
      (at) => editHeader(file(at), (header) => void (delete header[DOWN])),
      FILE,
      /starts at data offset \d+; expected \d+/,
    ],
    ["a cut payload", (at) => editBytes(file(at), (all) => all.slice(0, -1000)), FILE, /truncated/],
    [
      "bytes behind the payload",
      (at) => Deno.writeFileSync(file(at), new Uint8Array(9), { append: true }),
      FILE,
      /tensors end at byte \d+, but the file has/,
    ],
    [
      "metadata that is no text",
      (at) =>
        editHeader(
          file(at),
          (header) => void Object.assign(header, { __metadata__: { format: 1 } }),
        ),
      FILE,
      /__metadata__ "format" is not a string/,
    ],
    [
      "a missing tensor",
      (at) => editTensors(file(at), (all) => all.delete(DOWN)),
      FILE,
      /lacks/,
      FIELD,
    ],
    [
      "a tensor too many",
      (at) =>
        editTensors(file(at), (all) => all.set("model.layers.2.mlp.up_proj.bias", all.get(DOWN)!)),
      FILE,
      /"model\.layers\.2\.mlp\.up_proj\.bias", which its configuration does not explain/,
    ],
    [
      "a transposed tensor",
      (at) => editTensor(file(at), DOWN, () => ({ shape: [96, 64] })),
      FILE,
      FIELD,
      /shape \[96, 64\]; expected \[64, 96\]/,
    ],
    [
      "a tensor of whole numbers",
      (at) => editTensor(file(at), DOWN, () => ({ dtype: "I32" })),
      FILE,
      FIELD,
      /dtype I32; expected one of F32/,
    ],
    [
      "a folder of that name",
      (at) => {
        Deno.removeSync(file(at));
        Deno.mkdirSync(file(at));
      },
      /has neither model\.safetensors nor/,
    ],
    [
      "a pickle beside nothing",
      (at) => Deno.renameSync(file(at), `${at}/pytorch_model.bin`),
      /neither model\.safetensors nor/,
      /pickles, which can run code and are never opened/,
    ],
    [
      "a zip archive under that name",
      (at) => editBytes(file(at), (all) => all.fill(0x50, 0, 4)),
      FILE,
      /header length/,
    ],
  ],
};

/** `model.safetensors.index.json` and its shards. */
export const SHARDS: Family = {
  name: "sharded safetensors",
  make(folder) {
    makeModel(folder);
    const tensors = [...readTensors(file(folder))];
    Deno.removeSync(file(folder));
    const parts = [tensors.slice(0, 10), tensors.slice(10)];
    const map: [string, string][] = [];
    parts.forEach((part, i) => {
      const path = shard(folder, i + 1);
      Deno.writeFileSync(path, encodeSafetensors(new Map(part)));
      for (const [name] of part) map.push([name, path.slice(folder.length + 1)]);
    });
    const weight_map = Object.fromEntries(map);
    Deno.writeTextFileSync(index(folder), JSON.stringify({ metadata: {}, weight_map }));
  },
  args: (folder) => ["inspect", folder],
  kinds: [
    ["no JSON", (at) => editBytes(index(at), (all) => all.slice(0, 100)), INDEX, /not valid JSON/],
    ["a list", (at) => editJson(index(at), () => []), INDEX, /not a JSON object/],
    [
      "no weight_map",
      (at) => editJson(index(at), () => ({})),
      INDEX,
      /weight_map is not an object/,
    ],
    [
      "a number for a file",
      (at) => editMap(at, (map) => map[DOWN] = 3),
      INDEX,
      FIELD,
      /is in 3; expected the plain name/,
    ],
    [
      "a file outside the folder",
      (at) => editMap(at, (map) => map[DOWN] = "../model-00001-of-00002.safetensors"),
      INDEX,
      FIELD,
      /"\.\.\/model-00001-of-00002\.safetensors"; expected the plain name/,
    ],
    [
      "an absolute path",
      (at) => editMap(at, (map) => map[DOWN] = "/etc/passwd"),
      INDEX,
      FIELD,
      /"\/etc\/passwd"; expected the plain name/,
    ],
    [
      "a missing shard",
      (at) => Deno.removeSync(shard(at, 2)),
      /model-00002-of-00002\.safetensors" does not exist/,
    ],
    [
      "a tensor in another shard than listed",
      (at) => editMap(at, (map) => map["model.norm.weight"] = "model-00001-of-00002.safetensors"),
      INDEX,
      /puts tensor "model\.norm\.weight" in model-00001-of-00002\.safetensors, which lacks it/,
    ],
    [
      "a tensor that is not listed",
      (at) => editMap(at, (map) => delete map["model.norm.weight"]),
      INDEX,
      /does not list tensor "model\.norm\.weight" of model-00002-of-00002\.safetensors/,
    ],
    [
      "a cut shard",
      (at) => editBytes(shard(at, 2), (all) => all.slice(0, -8)),
      /model-00002-of-00002\.safetensors: .*truncated/,
    ],
    [
      "an index full of tensors that are nowhere",
      (at) =>
        editMap(at, (map) => {
          const count = 21_000;
          for (let i = 0; i < count; i++) {
            map[`model.layers.${i}.mlp.experts.weight`] = "model-00001-of-00002.safetensors";
          }
        }),
      INDEX,
      /puts tensor "model\.layers\.0\.mlp\.experts\.weight" in model-00001-of-00002\.safetensors/,
    ],
    [
      "a huge index",
      (at) => Deno.truncateSync(index(at), HUGE_BYTES),
      INDEX,
      /has 68719476736 bytes; expected at most/,
    ],
  ],
};

function editMap(folder: string, change: (map: Record<string, unknown>) => unknown): void {
  editJson<{ weight_map: Record<string, unknown> }>(index(folder), ({ weight_map }) => {
    change(weight_map);
  });
}
