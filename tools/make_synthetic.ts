/**
 * Writes a model with random weights and the shape of a real one, for measuring what size takes: a GGUF file in Q4_0,
 * norms in F32, written in parts. The same shape and seed give the same bytes.
 *
 * `deno run --allow-write tools/make_synthetic.ts [--shape llama-2-7b] [--seed 1] OUT.gguf`
 */

import { parseArgs } from "node:util";
import type { ModelConfig } from "../mod.ts";
import { ggufHeader, paddingAfter, type TensorSpec } from "./make_synthetic/gguf.ts";
import { llamaMetadata } from "./make_synthetic/metadata.ts";
import { BLOCK, fillBlocks } from "./make_synthetic/q4_0.ts";
import { MODEL_SHAPES } from "./make_synthetic/shapes.ts";

const GGML_F32 = 0;
const GGML_Q4_0 = 2;
/** Blocks that are drawn and written at once: 18 MiB. */
const BLOCKS_AT_ONCE = 1 << 20;

/** Writes the model of a named shape. */
export function makeSynthetic(path: string, shape: string, seed: number): void {
  const config = MODEL_SHAPES[shape];
  if (config === undefined) {
    const names = Object.keys(MODEL_SHAPES).join(", ");
    throw new RangeError(`Shape "${shape}"; expected one of ${names}`);
  }
  makeSyntheticModel(path, shape, config, seed);
}

/** Writes the model of a configuration; `name` is for people. */
export function makeSyntheticModel(
  path: string,
  name: string,
  config: ModelConfig,
  seed: number,
): void {
  const tensors = tensorsOf(config);
  using file = Deno.openSync(path, { write: true, create: true, truncate: true });
  writeAll(file, ggufHeader(llamaMetadata(name, config), tensors));
  // Every part has a seed of its own.
  let part = seed * 1_000_003;
  for (const { type, byteLength } of tensors) {
    if (type === GGML_F32) {
      writeAll(file, new Uint8Array(new Float32Array(byteLength / 4).fill(1).buffer));
    } else {
      const most = BLOCKS_AT_ONCE * BLOCK.bytes;
      const bytes = new Uint8Array(Math.min(most, byteLength));
      for (let at = 0; at < byteLength; at += most) {
        const blocks = bytes.subarray(0, Math.min(most, byteLength - at));
        fillBlocks(blocks, part++);
        writeAll(file, blocks);
      }
    }
    writeAll(file, paddingAfter(byteLength));
  }
}

function tensorsOf(config: ModelConfig): TensorSpec[] {
  const { hidden_size: hidden, intermediate_size: feed, vocab_size: vocabulary } = config;
  const queries = config.num_attention_heads * config.head_dim;
  const keys = config.num_key_value_heads * config.head_dim;
  const norm = (name: string): TensorSpec => ({
    name: `${name}.weight`,
    shape: [hidden],
    type: GGML_F32,
    byteLength: 4 * hidden,
  });
  const matrix = (name: string, rows: number, columns: number): TensorSpec => ({
    name: `${name}.weight`,
    shape: [rows, columns],
    type: GGML_Q4_0,
    byteLength: rows * columns / BLOCK.elements * BLOCK.bytes,
  });
  const layers = Array.from({ length: config.num_hidden_layers }, (_, layer) => [
    norm(`blk.${layer}.attn_norm`),
    matrix(`blk.${layer}.attn_q`, queries, hidden),
    matrix(`blk.${layer}.attn_k`, keys, hidden),
    matrix(`blk.${layer}.attn_v`, keys, hidden),
    matrix(`blk.${layer}.attn_output`, hidden, queries),
    norm(`blk.${layer}.ffn_norm`),
    matrix(`blk.${layer}.ffn_gate`, feed, hidden),
    matrix(`blk.${layer}.ffn_up`, feed, hidden),
    matrix(`blk.${layer}.ffn_down`, hidden, feed),
  ]);
  return [
    matrix("token_embd", vocabulary, hidden),
    ...layers.flat(),
    norm("output_norm"),
    ...(config.tie_word_embeddings ? [] : [matrix("output", vocabulary, hidden)]),
  ];
}

function writeAll(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
}

if (import.meta.main) {
  const { values: { shape, seed }, positionals: [path] } = parseArgs({
    allowPositionals: true,
    options: {
      shape: { type: "string", default: "llama-2-7b" },
      seed: { type: "string", default: "1" },
    },
  });
  if (path === undefined) throw new RangeError("No file to write; expected OUT.gguf");
  makeSynthetic(path, shape, Number(seed));
}
