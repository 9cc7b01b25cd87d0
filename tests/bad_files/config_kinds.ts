/** Bad config.json and generation_config.json. */

import { editBytes, editJson, type Family, HUGE_BYTES } from "./kinds.ts";
import { makeModel } from "./safetensors_kinds.ts";

const path = (folder: string) => `${folder}/config.json`;
const FILE = /config\.json/;

/** Lays values over the configuration; undefined takes a key out. */
const set = (changes: Record<string, unknown>) => (folder: string) =>
  editJson(path(folder), (json) => ({ ...json, ...changes }));
const write = (text: string) => (folder: string) => Deno.writeTextFileSync(path(folder), text);

/** `config.json`. */
export const CONFIG: Family = {
  name: "config.json",
  make: makeModel,
  args: (folder) => ["inspect", folder],
  kinds: [
    ["empty", write(""), FILE, /not valid JSON/],
    ["cut", (at) => editBytes(path(at), (all) => all.slice(0, 60)), FILE, /not valid JSON/],
    ["a list", write("[1]"), FILE, /not a JSON object/],
    ["nested without end", write(`{"a":${"[".repeat(200_000)}`), FILE, /not valid JSON/],
    [
      "not UTF-8",
      (at) => Deno.writeFileSync(path(at), Uint8Array.of(0x7b, 0xff, 0x7d)),
      FILE,
      /not valid UTF-8/,
    ],
    ["huge", (at) => Deno.truncateSync(path(at), HUGE_BYTES), FILE, /68719476736 bytes; expected/],
    ["no model_type", set({ model_type: undefined }), FILE, /model_type \(missing\)/],
    ["an unknown model_type", set({ model_type: "mixtral" }), FILE, /model_type "mixtral"/],
    ["a model_type that is a number", set({ model_type: 3 }), FILE, /model_type 3/],
    ["no hidden_size", set({ hidden_size: undefined }), FILE, /hidden_size is missing/],
    ["a size in words", set({ hidden_size: "64" }), FILE, /hidden_size is "64"/],
    ["a huge vocabulary", set({ vocab_size: 2 ** 40 }), FILE, /vocab_size is 1099511627776/],
    ["millions of layers", set({ num_hidden_layers: 1e7 }), FILE, /num_hidden_layers is 10000000/],
    ["no heads", set({ num_attention_heads: 0 }), FILE, /num_attention_heads is 0/],
    ["heads that do not share", set({ num_key_value_heads: 3 }), FILE, /3 key-value heads/],
    ["an odd head", set({ head_dim: 31 }), FILE, /head width 31 is odd/],
    ["an epsilon below zero", set({ rms_norm_eps: -1 }), FILE, /rms_norm_eps is -1/],
    ["a base of no rotation", set({ rope_theta: 0 }), FILE, /rope_theta is 0/],
    [
      "an unknown scaling of positions",
      set({ rope_scaling: { rope_type: "yarn", factor: 2 } }),
      FILE,
      /yarn/,
    ],
    ["another activation", set({ hidden_act: "gelu" }), FILE, /hidden_act "gelu"/],
    ["biases that the engine lacks", set({ mlp_bias: true }), FILE, /mlp_bias true/],
    [
      "an unknown quantisation",
      set({ quantization_config: { quant_method: "gptq", bits: 4 } }),
      FILE,
      /quant_method "gptq"/,
    ],
    [
      "a quantisation that is a text",
      set({ quantization_config: "nf4" }),
      FILE,
      /quantization_config is "nf4"; expected an object/,
    ],
    [
      "more layers than there are",
      set({ num_hidden_layers: 3 }),
      /model\.safetensors lacks/,
      /"model\.layers\.2\./,
    ],
    [
      "a width that the weights lack",
      set({ hidden_size: 128 }),
      /model\.safetensors/,
      /embed_tokens.*expected \[264, 128\]/,
    ],
    ["an id below zero", set({ eos_token_id: -1 }), FILE, /eos_token_id is -1/],
    [
      "an id in words in generation_config.json",
      (at) => Deno.writeTextFileSync(`${at}/generation_config.json`, '{"eos_token_id":"</s>"}'),
      /generation_config\.json/,
      /eos_token_id is "<\/s>"/,
    ],
    [
      "no config.json",
      (at) => Deno.removeSync(path(at)),
      /is nothing known|without config\.json|config\.json/,
    ],
  ],
};
