/**
 * Writes a model with random weights and the shape of a real one, for measuring what size takes: a GGUF file in Q4_0,
 * norms in F32, written in parts. The same shape and seed give the same bytes.
 *
 * `deno run --allow-write tools/make_synthetic.ts [--shape llama-2-7b] [--seed 1] OUT.gguf`
 */

import { parseArgs } from "node:util";
import { isSpielError, type ModelConfig, SpielError } from "../mod.ts";
import { ggufContent, ggufTensorBytes, type GgufTensorContent } from "../src/io/gguf_writer.ts";
import { llamaMetadata } from "./make_synthetic/metadata.ts";
import { BLOCK, fillBlocks } from "./make_synthetic/q4_0.ts";
import { MODEL_SHAPES } from "./make_synthetic/shapes.ts";

/** Blocks that are drawn and written at once: 18 MiB. */
const BLOCKS_AT_ONCE = 1 << 20;

/** Writes the model of a named shape. */
export async function makeSynthetic(path: string, shape: string, seed: number): Promise<void> {
  const config = MODEL_SHAPES[shape];
  if (config === undefined) {
    const names = Object.keys(MODEL_SHAPES).join(", ");
    throw new SpielError("usage", `--shape is "${shape}"; expected one of ${names}`);
  }
  await makeSyntheticModel(path, shape, config, seed);
}

/** Writes the model of a configuration; `name` is for people. */
export async function makeSyntheticModel(
  path: string,
  name: string,
  config: ModelConfig,
  seed: number,
): Promise<void> {
  using file = Deno.openSync(path, { write: true, create: true, truncate: true });
  for await (const part of ggufContent(llamaMetadata(name, config), tensorsOf(config, seed))) {
    for (let at = 0; at < part.length;) at += file.writeSync(part.subarray(at));
  }
}

function tensorsOf(config: ModelConfig, seed: number): GgufTensorContent[] {
  const { hidden_size: hidden, intermediate_size: feed, vocab_size: vocabulary } = config;
  const queries = config.num_attention_heads * config.head_dim;
  const keys = config.num_key_value_heads * config.head_dim;
  // Every part has a seed of its own.
  let partSeed = seed * 1_000_003;
  const norm = (name: string) => ones(`${name}.weight`, hidden);
  const matrix = (name: string, rows: number, columns: number) => {
    const tensor = randomMatrix(`${name}.weight`, [rows, columns], partSeed);
    partSeed += Math.ceil(ggufTensorBytes(tensor) / (BLOCKS_AT_ONCE * BLOCK.bytes));
    return tensor;
  };
  const embedding = matrix("token_embd", vocabulary, hidden);
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
    embedding,
    ...layers.flat(),
    norm("output_norm"),
    ...(config.tie_word_embeddings ? [] : [matrix("output", vocabulary, hidden)]),
  ];
}

function ones(name: string, size: number): GgufTensorContent {
  return {
    name,
    type: "F32",
    shape: [size],
    async *parts() {
      yield new Uint8Array(new Float32Array(size).fill(1).buffer);
    },
  };
}

/** A matrix whose parts are drawn from this seed and those after it. */
function randomMatrix(name: string, shape: number[], seed: number): GgufTensorContent {
  const spec = { name, type: "Q4_0", shape };
  return {
    ...spec,
    async *parts() {
      const most = BLOCKS_AT_ONCE * BLOCK.bytes;
      const bytes = ggufTensorBytes(spec);
      for (let part = 0; part * most < bytes; part++) {
        const blocks = new Uint8Array(Math.min(most, bytes - part * most));
        fillBlocks(blocks, seed + part);
        yield blocks;
      }
    },
  };
}

/**
 * Reads the command line and writes the model.
 *
 * @throws {SpielError} kind "usage" naming the flag, its value and what was expected.
 */
export async function main(args: string[]): Promise<void> {
  const { values: { shape, seed }, positionals: [path] } = parsed(args);
  if (path === undefined) {
    throw new SpielError("usage", "the file to write is missing; expected OUT.gguf");
  }
  if (!/^\d{1,9}$/.test(seed)) {
    throw new SpielError("usage", `--seed is "${seed}"; expected a whole number below 10^9`);
  }
  await makeSynthetic(path, shape, Number(seed));
}

function parsed(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        shape: { type: "string", default: "llama-2-7b" },
        seed: { type: "string", default: "1" },
      },
    });
  } catch (cause) {
    throw new SpielError("usage", (cause as Error).message, { cause });
  }
}

if (import.meta.main) {
  try {
    await main(Deno.args);
  } catch (error) {
    if (!isSpielError(error)) throw error;
    console.error(error.message);
    Deno.exit(error.exitCode);
  }
}
