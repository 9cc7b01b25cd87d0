/** Memory plans of real sizes, made without weights, against sums by hand. */

import assert from "node:assert/strict";
import type {
  ActivationCheckpointing,
  EngineInfo,
  ModelConfig,
  WeightFormat,
} from "../../src/engine/protocol.gen.ts";
import { inferenceUse, type ModelUse, planModel } from "../../src/model/load.ts";
import { type ModelSource, openModelToPlan } from "../../src/model/source.ts";
import { allotDeltas } from "../../src/spiel/budget.ts";
import { MODEL_SHAPES } from "../../tools/make_synthetic/shapes.ts";
import { engineTest, HOSTED_DEVICES } from "../support/hosts.ts";
import { PROJECTIONS } from "../support/small_model.ts";
import { withTempDir } from "../support/temp_dir.ts";

const DENSITY = 0.024;
const CONFIGS = new URL("../golden/llama2_configs/", import.meta.url).pathname;

/** SpIEL with accumulated gradients. */
function trainingUse(
  tokens: number,
  activationCheckpointing: ActivationCheckpointing,
  quantize?: ModelUse["quantize"],
): ModelUse {
  return {
    ...inferenceUse(tokens),
    trainable: "deltas",
    deltas: (plan) => allotDeltas(plan, { density: DENSITY }, PROJECTIONS),
    candidates: true,
    activationCheckpointing,
    quantize,
  };
}

/** A folder that holds no more than a config.json. */
async function withFolder(name: string, use: (folder: string) => Promise<void>): Promise<void> {
  await withTempDir(async (dir) => {
    Deno.copyFileSync(`${CONFIGS}${name}.json`, `${dir}/config.json`);
    await use(dir);
  });
}

/** The same model with all its matrices in one format, as a GGUF file has them. */
function storedAs(
  source: ModelSource,
  format: WeightFormat,
): Pick<ModelSource, "config" | "tensors"> {
  const tensors = [...source.tensors].map(([name, tensor]) =>
    [name, tensor.shape.length === 2 ? { ...tensor, format } : tensor] as const
  );
  return { config: source.config, tensors: new Map(tensors) };
}

/** Bytes of a weight: of the layers' matrices, and of the embedding and the head. */
const WEIGHT_BYTES = {
  bf16: [2, 2],
  nf4: [36 / 64, 2],
  q4_0: [18 / 32, 18 / 32],
} as const;

/**
 * Floats for sampling the gradients of layers of which the widest have F inputs or outputs, and gate and up `deltas` each
 * together the most.
 */
function sampling({ device, threads }: EngineInfo, T: number, F: number, deltas: number): number {
  // The largest input and output gradient transposed, and the samples of one layer's candidates.
  if (device === "gpu") return 2 * T * F + deltas;
  // For each thread 128 tokens of an input and of 256 outputs; of both layers the samples of the candidates, and for each
  // of four parts of the tokens those of deltas and candidates.
  return threads * 128 * (F + 256) + 2 * deltas * (1 + 4 * 2);
}

/** What a plan is made of, by the shapes of a model without biases whose every query has its own key. */
function sums(
  info: EngineInfo,
  { hidden_size: D, intermediate_size: F, num_hidden_layers: L, ...config }: ModelConfig,
  T: number,
  stored: keyof typeof WEIGHT_BYTES,
  checkpointing: ActivationCheckpointing,
): Record<string, number> {
  const { vocab_size: V, num_attention_heads: H, head_dim } = config;
  const layers = L * (4 * D * D + 3 * D * F), ends = 2 * V * D, norms = (2 * L + 1) * D;
  const [layerBytes, endBytes] = WEIGHT_BYTES[stored];
  const deltas = Math.round(DENSITY * (layers + ends + norms));
  // q, k, v, attention, the stream between, gate and up; a sum per head.
  const ofBlock = T * (5 * D + 2 * F + H);
  const kept = checkpointing === "block" ? 1 : L;
  // The native CPU decodes weights on their way into products, the head with every chunk of tokens.
  const decodesBefore = info.device === "gpu";
  // Whole tiles of 128 tokens, of which these vocabularies take more than one.
  const logits = Math.min(T, Math.floor(2 ** (decodesBefore ? 24 : 25) / V / 128) * 128);
  return {
    "weights": layers * layerBytes + ends * endBytes + 4 * norms,
    // Positions, values and gradients; ages and two moments; positions, gradients and their squares.
    "trained values and gradients": 12 * deltas,
    "optimizer state": 12 * deltas,
    "growth candidates": 12 * deltas,
    "activations": 4 * ((L + 1) * T * D + kept * ofBlock),
    "workspace": 4 * (
      // The head decoded, or the dense gradient of a matrix, which chooses candidates.
      (decodesBefore ? V * D : D * F) + sampling(info, T, F, deltas * D * F / layers) +
      // A norm's output, SwiGLU's, rotations and ids.
      T * (D + F + head_dim + 4) +
      logits * (2 * D + V) +
      // Gradients of the stream, of a norm, of attention, q, k and v, and of SwiGLU's three.
      T * (6 * D + 3 * F)
    ),
    // What each of the CPU's threads packs: a strip of A, 14 rows of up to 1,536 numbers beside a line of the cache, panels
    // of B, 256 columns of as many, the rows of 16 that these are decoded by, and what aligns the three.
    ...(info.device === "cpu" && {
      "held by operations": 4 * info.threads * (14 * (1536 + 16) + (256 + 16) * 1536 + 3 * 16),
    }),
  };
}

const NATIVE = HOSTED_DEVICES.filter(({ host }) => host === "native");
const CHECKPOINTING = ["none", "block"] as const;

engineTest("memory plan: LLaMA-2 7B and 13B take what their shapes say", async (engine) => {
  for (const name of ["llama-2-7b", "llama-2-13b"]) {
    await withFolder(name, async (folder) => {
      const { source, assumption } = openModelToPlan(folder);
      assert.match(assumption ?? "", /has no weights yet; they are planned as bf16/);
      assert.deepEqual(source.config, MODEL_SHAPES[name]);
      for (const stored of ["bf16", "nf4", "q4_0"] as const) {
        for (const checkpointing of CHECKPOINTING) {
          const use = trainingUse(2048, checkpointing, stored === "nf4" ? stored : undefined);
          const from = stored === "q4_0" ? storedAs(source, stored) : source;
          const { plan: { memory } } = await planModel(engine, from, use);
          const expected = sums(engine.info, source.config, 2048, stored, checkpointing);
          const what = `${name} ${stored} ${checkpointing}`;
          assert.deepEqual(memory.rows.map(({ purpose }) => purpose), Object.keys(expected), what);
          for (const { purpose, bytes } of memory.rows) {
            const off = Math.abs(bytes / expected[purpose]! - 1);
            // Deltas are dealt out in whole ones.
            assert.ok(off < 1e-5, `${what}: ${purpose} of ${bytes}, expected ${expected[purpose]}`);
          }
        }
      }
    });
  }
}, NATIVE);
