/** Bad folders of bitsandbytes. */

import { copyFolder, editJson, editTensor, editTensors, type Family } from "./kinds.ts";

const GOLDEN = decodeURIComponent(new URL("../golden/bitsandbytes", import.meta.url).pathname);
const file = (folder: string) => `${folder}/model.safetensors`;
const FILE = /model\.safetensors/;
const DOWN = "model.layers.0.mlp.down_proj.weight";
const STATE = `${DOWN}.quant_state.bitsandbytes__nf4`;

const bytesOf = (text: string) => new TextEncoder().encode(text);

/** Lays values over the description of a matrix; undefined takes a key out. */
const state = (changes: Record<string, unknown>) => (folder: string) =>
  editTensor(file(folder), STATE, ({ data }) => {
    const json = JSON.parse(new TextDecoder().decode(data));
    const bytes = bytesOf(JSON.stringify({ ...json, ...changes }));
    return { data: bytes, shape: [bytes.length] };
  });

const part = (name: string, change: Parameters<typeof editTensor>[2]) => (folder: string) =>
  editTensor(file(folder), `${DOWN}.${name}`, change);

/** NF4 with double quantisation. */
export const BITSANDBYTES: Family = {
  name: "bitsandbytes",
  make: (folder) => copyFolder(`${GOLDEN}/nf4_double`, folder),
  args: (folder) => ["inspect", folder],
  kinds: [
    ["blocks of 128", state({ blocksize: 128 }), FILE, /down_proj.*blocksize 128 is not supported/],
    ["scales of 64", state({ nested_blocksize: 64 }), FILE, /nested_blocksize 64 is not supported/],
    ["no offset", state({ nested_offset: undefined }), FILE, /nested_offset is missing/],
    ["no shape", state({ shape: undefined }), FILE, /shape is missing; expected \[out, in\]/],
    ["a shape of 2^80", state({ shape: [2 ** 40, 2 ** 40] }), FILE, /shape is \[1099/],
    ["a shape of other codes", state({ shape: [128, 128] }), FILE, /12288 bytes; expected 8192/],
    ["rows of half a block", state({ shape: [256, 96] }), FILE, /rows of 96 weights/],
    ["another type inside", state({ quant_type: "fp4" }), FILE, /quant_type "fp4"/],
    [
      "fp4",
      (at) =>
        editTensors(file(at), (tensors) => {
          tensors.set(STATE.replace("nf4", "fp4"), tensors.get(STATE)!);
          tensors.delete(STATE);
        }),
      FILE,
      /bitsandbytes__fp4" is of the 4-bit type fp4; expected nf4/,
    ],
    [
      "a description that is no JSON",
      part("quant_state.bitsandbytes__nf4", () => ({ data: bytesOf("{nf4}"), shape: [5] })),
      FILE,
      /bitsandbytes__nf4" is not valid JSON/,
    ],
    [
      "no codes",
      (at) => editTensors(file(at), (tensors) => tensors.delete(DOWN)),
      FILE,
      /no tensor "model\.layers\.0\.mlp\.down_proj\.weight" with its codes/,
    ],
    [
      "no magnitudes",
      (at) => editTensors(file(at), (tensors) => tensors.delete(`${DOWN}.absmax`)),
      FILE,
      /no tensor "model\.layers\.0\.mlp\.down_proj\.weight\.absmax"/,
    ],
    [
      "no description",
      (at) => editTensors(file(at), (tensors) => tensors.delete(STATE)),
      FILE,
      /down_proj\.weight\.\w+" has no "\S+\.quant_state\.bitsandbytes__nf4" beside it/,
    ],
    [
      "too few magnitudes",
      part("absmax", () => ({ data: new Uint8Array(100), shape: [100] })),
      FILE,
      /absmax" has 100 elements; expected 384/,
    ],
    [
      "magnitudes of another type",
      part("absmax", () => ({ data: new Float32Array(384), dtype: "F32" })),
      FILE,
      /absmax" has dtype F32; expected U8/,
    ],
    [
      "too few scales",
      part("nested_absmax", () => ({ data: new Float32Array(1), shape: [1] })),
      FILE,
      /nested_absmax" has 1 elements; expected 2/,
    ],
    [
      "a scale that is no number",
      part("nested_absmax", () => ({ data: Float32Array.of(1, NaN) })),
      FILE,
      /nested_absmax" has values that are infinite or not numbers/,
    ],
    [
      "other levels",
      part("quant_map", () => ({ data: new Float32Array(16) })),
      FILE,
      /quant_map" has other levels than those of nf4/,
    ],
    [
      "8 bits",
      (at) =>
        editJson<{ quantization_config: object }>(`${at}/config.json`, (json) => {
          Object.assign(json.quantization_config, { load_in_8bit: true });
        }),
      /config\.json/,
      /load_in_8bit true is not supported/,
    ],
  ],
};
