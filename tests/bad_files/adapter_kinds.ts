/** Bad adapter folders of every layout, as safetensors and as pickles. */

import { encodeTorch, encodeZip, PickleWriter } from "../support/encode_torch.ts";
import {
  type BadKind,
  copyFolder,
  editBytes,
  editHeader,
  editJson,
  editTensor,
  editTensors,
  type Family,
  HUGE_BYTES,
  readTensors,
} from "./kinds.ts";

const GOLDEN = decodeURIComponent(new URL("../golden", import.meta.url).pathname);
const weights = (folder: string) => `${folder}/adapter_model.safetensors`;
const pickle = (folder: string) => `${folder}/adapter_model.bin`;
const CONFIG = /adapter_config\.json/;
const FILE = /adapter_model\.safetensors/;
const MODULE = "base_model.model.model.layers.0.mlp.gate_proj";

/** Lays values over the configuration; undefined takes a key out. */
const config = (changes: Record<string, unknown>) => (folder: string) =>
  editJson(`${folder}/adapter_config.json`, (json) => ({ ...json, ...changes }));

const tensor =
  (name: string, change: Parameters<typeof editTensor>[2], module = MODULE) => (folder: string) =>
    editTensor(weights(folder), `${module}.${name}`, change);

const without = (name: string) => (folder: string) =>
  editTensors(weights(folder), (tensors) => {
    if (!tensors.delete(`${MODULE}.${name}`)) throw new Error(`no ${name}`);
  });

/** Converts sparse deltas, for which the base model's shapes are looked up. */
const convert = (folder: string) => [
  ...["adapter", "convert", folder, "--model", `${GOLDEN}/tiny_llama`],
  ...["--out", `${folder}/converted`],
];

function family(name: string, golden: string, args: Family["args"], kinds: BadKind[]): Family {
  return { name, make: (at) => copyFolder(`${GOLDEN}/adapters/${golden}`, at), args, kinds };
}

/** The elements of a tensor of indices with one of them changed. */
const index = (slot: number, value: number) => ({ data }: { data: ArrayBufferView }) => {
  const indices = new Int32Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength / 4);
  indices[slot] = value;
  return {};
};
const value = (slot: number, value: number) => ({ data }: { data: ArrayBufferView }) => {
  const values = new Float32Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength / 4);
  values[slot] = value;
  return {};
};
const shorter = ({ data }: { data: ArrayBufferView<ArrayBuffer> }) => ({
  data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength - 4),
  shape: [data.byteLength / 4 - 1],
});

/** The reference's layout, and what all layouts share. */
export const SFT = family("SFT adapter", "sft_fork_f32", convert, [
  ["no configuration", (at) => Deno.removeSync(`${at}/adapter_config.json`), CONFIG],
  ["no weights", (at) => Deno.removeSync(weights(at)), /no adapter_model\.safetensors/],
  [
    "a configuration that is no JSON",
    (at) => Deno.writeTextFileSync(`${at}/adapter_config.json`, "{'peft_type': 'SFT'}"),
    CONFIG,
    /not valid JSON/,
  ],
  [
    "a huge configuration",
    (at) => Deno.truncateSync(`${at}/adapter_config.json`, HUGE_BYTES),
    CONFIG,
    /68719476736 bytes; expected/,
  ],
  ["no peft_type", config({ peft_type: undefined }), CONFIG, /no peft_type/],
  ["another kind", config({ peft_type: "PROMPT_TUNING" }), CONFIG, /peft_type is "PROMPT_TUNING"/],
  ["a kind that is unknown", config({ peft_type: "VERA" }), CONFIG, /peft_type is "VERA"/],
  ["whole modules", config({ modules_to_save: ["lm_head"] }), CONFIG, /modules_to_save.*lm_head/],
  ["an unknown dtype", config({ dtype: "int8" }), CONFIG, /dtype/],
  ["a number of deltas in words", config({ num_deltas: { a: "5" } }), CONFIG, /num_deltas/],
  [
    "deltas of a module that is not there",
    (at) =>
      editJson<{ num_deltas: Record<string, number> }>(`${at}/adapter_config.json`, (json) => {
        json.num_deltas["model.layers.9.mlp.up_proj"] = 5;
      }),
    CONFIG,
    /num_deltas names "model\.layers\.9\.mlp\.up_proj"/,
  ],
  [
    "a tensor of another name",
    (at) => editTensors(weights(at), (all) => all.set("lm_head.weight", [...all.values()][0]!)),
    FILE,
    /tensor "lm_head\.weight", expected only names such as/,
  ],
  ["values without indices", without("sft_delta.indices"), FILE, /gate_proj\.sft_delta\.indices"/],
  ["indices without values", without("sft_delta.values"), FILE, /gate_proj\.sft_delta\.values"/],
  [
    "fewer indices than values",
    tensor("sft_delta.indices", shorter),
    FILE,
    /gate_proj": values of shape \[300\] and indices of shape \[299\]/,
  ],
  [
    "an index below zero",
    tensor("sft_delta.indices", index(3, -5)),
    FILE,
    /gate_proj\.sft_delta\.indices": index -5 in slot 3/,
  ],
  [
    "an index beyond the matrix",
    tensor("sft_delta.indices", index(3, 172 * 64)),
    /gate_proj/,
    /position 11008/,
  ],
  [
    "an index twice",
    tensor("sft_delta.indices", ({ data }) => {
      const indices = new Int32Array(data.buffer, data.byteOffset, 2);
      indices[1] = indices[0]!;
      return {};
    }),
    FILE,
    /gate_proj": index \d+ occurs twice/,
  ],
  [
    "a value that is no number",
    tensor("sft_delta.values", value(7, NaN)),
    FILE,
    /gate_proj\.sft_delta\.values": the value in slot 7 is not finite/,
  ],
  [
    "values that are whole numbers",
    tensor("sft_delta.values", () => ({ dtype: "I32" })),
    FILE,
    /gate_proj\.sft_delta\.values": dtype I32/,
  ],
  [
    "indices that are floats",
    tensor("sft_delta.indices", () => ({ dtype: "F32" })),
    FILE,
    /gate_proj\.sft_delta\.indices": dtype F32/,
  ],
  [
    "a module that the model lacks",
    (at) =>
      editTensors(weights(at), (all) => {
        for (const [name, one] of [...all]) {
          if (!name.startsWith(MODULE)) continue;
          all.delete(name);
          all.set(name.replace("layers.0", "layers.7"), one);
        }
      }),
    /layers\.[07]\.mlp\.gate_proj/,
  ],
  ["cut weights", (at) => editBytes(weights(at), (all) => all.slice(0, -9)), FILE, /truncated/],
  [
    "no deltas at all",
    (at) => {
      editTensors(weights(at), (all) => all.clear());
      config({ num_deltas: null })(at);
    },
    FILE,
    /has no deltas/,
  ],
  [
    "a folder that is a model",
    (at) => {
      for (const name of ["adapter_config.json", "adapter_model.safetensors"]) {
        Deno.removeSync(`${at}/${name}`);
      }
      copyFolder(`${GOLDEN}/tiny_llama`, at);
    },
    /is a model; name it by --model/,
  ],
]);

/** PEFT's SUPERTUNING. */
export const SUPERTUNING = family("SUPERTUNING adapter", "supertuning", convert, [
  ["a rank below one", config({ r: 0 }), CONFIG, /r/],
  ["a sparsity in words", config({ sparsity: "0.9" }), CONFIG, /sparsity/],
  ["no values", without("supertuning_values"), FILE, /gate_proj\.supertuning_values"/],
  ["no indices", without("supertuning_indices"), FILE, /gate_proj\.supertuning_indices"/],
  [
    "an index beyond 32 bits",
    tensor("supertuning_indices", ({ shape }) => {
      const data = new BigInt64Array(shape[0]!);
      data[5] = 2n ** 33n;
      return { data, dtype: "I64" };
    }),
    FILE,
    /supertuning_indices": index 8589934592 in slot 5/,
  ],
  [
    "an index beyond the matrix",
    tensor("supertuning_indices", index(0, 11008)),
    /gate_proj/,
    /position 11008/,
  ],
]);

/** PEFT's SHIRA. */
export const SHIRA = family("SHIRA adapter", "shira", convert, [
  ["a rank in words", config({ r: "2" }), CONFIG, /r/],
  ["transposed matrices", config({ fan_in_fan_out: true }), CONFIG, /fan_in_fan_out/],
  ["no values", without("shira_weight"), FILE, /gate_proj\.shira_weight"/],
  [
    "no places",
    without("shira_indices"),
    FILE,
    /gate_proj\.shira_indices"/,
  ],
  [
    "rows without columns",
    tensor("shira_indices", ({ data, shape }) => ({
      data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength / 2),
      shape: [1, shape[1]!],
    })),
    FILE,
    /gate_proj": shira_weight of shape \[472\] and shira_indices of shape \[1, 472\]/,
  ],
  [
    "a row beyond the matrix",
    tensor("shira_indices", index(4, 172)),
    FILE,
    /gate_proj": a delta at row 172, column \d+, but the model's matrix has shape \[172, 64\]/,
  ],
  [
    "a row below zero",
    tensor("shira_indices", index(4, -1)),
    FILE,
    /gate_proj/,
  ],
]);

const inspect = (folder: string) => ["inspect", folder];

/** PEFT's LoRA. */
export const LORA = family("LoRA adapter", "lora_r4", inspect, [
  ["a rank of half", config({ r: 0.5 }), CONFIG, /r/],
  ["biases", config({ bias: "all" }), CONFIG, /bias is "all", expected "none"/],
  ["a start that changes the base", config({ init_lora_weights: "pissa" }), CONFIG, /"pissa"/],
  ["repeated layers", config({ layer_replication: [[0, 2]] }), CONFIG, /layer_replication/],
  [
    "a pattern that is an expression",
    config({ rank_pattern: { "(q|k)_proj": 2 } }),
    CONFIG,
    /rank_pattern has the key "\(q\|k\)_proj"/,
  ],
  ["another rank than configured", config({ r: 8 }), FILE, /lora_A\.weight" has shape \[4/],
  ["only one factor", without("lora_B.weight"), FILE, /no tensor ".*gate_proj\.lora_B\.weight"/],
  [
    "DoRA without magnitudes",
    config({ use_dora: true }),
    FILE,
    /no tensor ".*lora_magnitude_vector"/,
  ],
  [
    "a factor that is a vector",
    tensor("lora_B.weight", ({ data }) => ({ shape: [data.byteLength / 4] })),
    FILE,
    /gate_proj\.lora_B\.weight" has shape \[688\], expected \[rows, 4\]/,
  ],
  [
    "a factor that is infinite",
    tensor("lora_A.weight", value(9, Infinity)),
    FILE,
    /gate_proj\.lora_A\.weight": the value in slot 9 is not finite/,
  ],
  [
    "embeddings beside it",
    (at) =>
      editHeader(weights(at), (header) => {
        const text = JSON.stringify(header);
        return text.replace(`${MODULE}.lora_A.weight`, "base_model.model.embed.lora_embedding_A");
      }),
    FILE,
    /"base_model\.model\.embed\.lora_embedding_A", expected only names such as/,
  ],
]);

const KEYS = "base_model.model.model.layers.0.self_attn.k_proj";

/** PEFT's IA3. */
export const IA3 = family("IA3 adapter", "ia3", inspect, [
  ["transposed matrices", config({ fan_in_fan_out: true }), CONFIG, /fan_in_fan_out is true/],
  ["modules in numbers", config({ feedforward_modules: 3 }), CONFIG, /feedforward_modules/],
  [
    "factors of two sides",
    tensor("ia3_l", () => ({ shape: [16, 2] }), KEYS),
    FILE,
    /k_proj\.ia3_l" has shape \[16, 2\], expected \[out, 1\] or \[1, in\]/,
  ],
  [
    "a factor that is no number",
    tensor("ia3_l", value(2, NaN), KEYS),
    FILE,
    /k_proj\.ia3_l": the value in slot 2 is not finite/,
  ],
  [
    "another layout's tensors",
    (at) => Deno.copyFileSync(`${GOLDEN}/adapters/lora_r4/adapter_model.safetensors`, weights(at)),
    FILE,
    /lora_A\.weight", expected only names such as ".*ia3_l"/,
  ],
]);

const BIN = /adapter_model\.bin/;
const PKL = "m/data.pkl";
const start = () => new PickleWriter().raw(0x80, 2);
const write = (bytes: () => Uint8Array) => (folder: string) =>
  Deno.writeFileSync(pickle(folder), bytes());
const marks = new Uint8Array(1_000_000).fill(0x28).with(0, 0x80).with(1, 2);
const pickled = (writer: () => PickleWriter) =>
  write(() => encodeZip([{ name: PKL, bytes: writer().bytes() }]));

/** The reference's own files. */
export const PICKLE: Family = {
  name: "pickled adapter",
  make(folder) {
    copyFolder(`${GOLDEN}/adapters/sft_fork_f32`, folder);
    Deno.writeFileSync(pickle(folder), encodeTorch(readTensors(weights(folder))));
    Deno.removeSync(weights(folder));
  },
  args: convert,
  kinds: [
    ["empty", write(() => new Uint8Array()), BIN, /no zip archive/],
    ["cut", (at) => editBytes(pickle(at), (all) => all.slice(0, -40)), BIN, /no zip archive/],
    ["huge", (at) => Deno.truncateSync(pickle(at), HUGE_BYTES), BIN, /no zip archive/],
    [
      "a call of os.system",
      pickled(() => start().global("posix", "system").text("true").raw(0x85, 0x52, 0x2e)),
      BIN,
      /"posix\.system", which is never loaded/,
    ],
    [
      "builtins",
      pickled(() => start().global("builtins", "eval").raw(0x2e)),
      BIN,
      /builtins\.eval/,
    ],
    ["a newer protocol", pickled(() => new PickleWriter().raw(0x80, 5)), BIN, /protocol 5/],
    ["an unknown opcode", pickled(() => start().raw(0x69)), BIN, /opcode 0x69/],
    [
      "a text that is cut off",
      pickled(() => start().raw(0x58, 255, 255, 255, 127)),
      BIN,
      /cut off/,
    ],
    [
      "marks without end",
      write(() => encodeZip([{ name: PKL, bytes: marks }])),
      BIN,
      /more than 10000 marks/,
    ],
    [
      "something else than tensors",
      pickled(() => start().raw(0x7d).text("epoch").number(3).raw(0x73, 0x2e)),
      BIN,
      /has "epoch", expected names of tensors only/,
    ],
    [
      "a compressed archive",
      write(() => encodeZip([{ name: PKL, bytes: Uint8Array.of(3, 0), method: 8, claims: 4e9 }])),
      BIN,
      /"m\/data\.pkl" is compressed/,
    ],
    [
      "a pickle of 3 MB",
      write(() => encodeZip([{ name: PKL, bytes: new Uint8Array(3 << 20) }])),
      BIN,
      /has 3145728 bytes; expected at most/,
    ],
    ["no pickle in it", write(() => encodeZip([])), BIN, /has no data\.pkl/],
  ],
};
