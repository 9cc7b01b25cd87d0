/** Adapters that change whole matrices: merged with one rounding, on quantised and half-precision bases too. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadAdapter } from "../../src/adapter/load.ts";
import { mergeAdapter } from "../../src/export/merge.ts";
import { openModel } from "../../src/adapter/open_model.ts";
import { SafetensorsFile } from "../../src/io/safetensors.ts";
import { encodeSafetensors, type TensorData } from "../support/encode_safetensors.ts";
import { HOSTED_DEVICES } from "../support/hosts.ts";
import { buildGguf } from "../support/gguf_builder.ts";
import {
  ggufNames,
  tinyConfig,
  tinyMetadata,
  tinyWeights,
  writeTinyFolder,
} from "../support/tiny_model.ts";

const GOLDEN = fileURLToPath(new URL("../golden", import.meta.url));
const MODEL = join(GOLDEN, "tiny_llama");
const Q = "model.layers.1.self_attn.q_proj";

function withFolder(run: (dir: string) => Promise<void>): () => Promise<void> {
  return async () => {
    const dir = Deno.makeTempDirSync();
    try {
      await run(dir);
    } finally {
      Deno.removeSync(dir, { recursive: true });
    }
  };
}

/** To the nearest bf16, ties to even, as f32. */
function roundToBf16(value: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer);
  bits[0] = (bits[0]! + 0x7fff + (bits[0]! >>> 16 & 1)) & 0xffff_0000;
  return new Float32Array(bits.buffer)[0]!;
}

function bf16Tensor(file: SafetensorsFile, name: string): number[] {
  const halves = new Uint16Array(file.read(name).buffer);
  return [...halves].map((half) => new Float32Array(Uint32Array.of(half << 16).buffer)[0]!);
}

/** An IA3 adapter that scales the values of one layer. */
function writeScales(folder: string, factors: Float32Array<ArrayBuffer>): void {
  Deno.mkdirSync(folder);
  const name = "base_model.model.model.layers.0.self_attn.v_proj.ia3_l";
  const tensor: TensorData = { dtype: "F32", shape: [factors.length, 1], data: factors };
  const bytes = encodeSafetensors(new Map([[name, tensor]]));
  Deno.writeFileSync(join(folder, "adapter_model.safetensors"), bytes);
  Deno.writeTextFileSync(join(folder, "adapter_config.json"), '{"peft_type":"IA3"}');
}

const Q8_0 = 8;

/** Blocks of 32 whole numbers, each times 1/2. */
function packQ8(numbers: readonly number[]): Uint8Array<ArrayBuffer> {
  const blocks = new Uint8Array(numbers.length / 32 * 34);
  const view = new DataView(blocks.buffer);
  numbers.forEach((value, at) => {
    const block = Math.floor(at / 32) * 34;
    view.setUint16(block, 0x3800, true);
    view.setInt8(block + 2 + at % 32, value);
  });
  return blocks;
}

for (const { name, host, device, ignore } of HOSTED_DEVICES) {
  const place = { host, device } as const;

  Deno.test(
    `a matrix is rounded once after it was changed (${name})`,
    { ignore },
    withFolder(async (dir) => {
      const adapter = join(GOLDEN, "adapters/lora_r4");
      const out = join(dir, "merged");
      await mergeAdapter({ model: MODEL, adapter, out, dtype: "bf16", ...place });
      using base = SafetensorsFile.open(join(MODEL, "model.safetensors"));
      using merged = SafetensorsFile.open(join(out, "model.safetensors"));
      const weights = new Float32Array(base.read(`${Q}.weight`).buffer);
      loadAdapter(adapter).changes.get(Q)?.apply(weights, 64, 0);
      assert.deepEqual(bf16Tensor(merged, `${Q}.weight`), [...weights].map(roundToBf16));
      const untouched = new Float32Array(base.read("model.embed_tokens.weight").buffer);
      const expected = [...untouched].map(roundToBf16);
      assert.deepEqual(bf16Tensor(merged, "model.embed_tokens.weight"), expected);
    }),
  );

  Deno.test(
    `IA3 scales a bias with its outputs (${name})`,
    { ignore },
    withFolder(async (dir) => {
      const config = tinyConfig("qwen2");
      const weights = tinyWeights(config);
      writeTinyFolder(join(dir, "model"), "qwen2", config, weights);
      const factors = Float32Array.from({ length: 64 }, (_, row) => row / 8 - 3);
      writeScales(join(dir, "adapter"), factors);
      const [model, adapter, out] = ["model", "adapter", "merged"].map((one) => join(dir, one));
      await mergeAdapter({ model: model!, adapter: adapter!, out: out!, dtype: "f32", ...place });
      using merged = SafetensorsFile.open(join(out!, "model.safetensors"));
      for (const [field, columns] of [["weight", 64], ["bias", 1]] as const) {
        const tensor = `model.layers.0.self_attn.v_proj.${field}`;
        const before = new Float32Array(weights.get(tensor)!.data.buffer);
        const expected = before.map((value, at) => value * factors[Math.floor(at / columns)]!);
        assert.deepEqual(new Float32Array(merged.read(tensor).buffer), expected);
      }
    }),
  );

  Deno.test(
    `a quantised matrix is changed by its decoded weights, and a warning says so (${name})`,
    { ignore },
    withFolder(async (dir) => {
      const config = tinyConfig("llama");
      const names = ggufNames(config.num_hidden_layers);
      const tensor = "model.layers.0.self_attn.v_proj.weight";
      const numbers = Array.from({ length: 64 * 64 }, (_, at) => (at * 7) % 255 - 127);
      const tensors = [...tinyWeights(config)].map(([one, { shape, data }]) => ({
        name: names.get(one)!,
        dimensions: [...shape].reverse(),
        type: one === tensor ? Q8_0 : 0,
        data: one === tensor ? packQ8(numbers) : new Uint8Array(data.buffer),
      }));
      const model = join(dir, "model.gguf");
      Deno.writeFileSync(model, buildGguf({ metadata: tinyMetadata("llama", config), tensors }));
      const adapter = join(dir, "adapter");
      const factors = Float32Array.from({ length: 64 }, (_, row) => row / 8 - 3);
      writeScales(adapter, factors);
      const warnings: string[] = [];
      const onWarning = (message: string) => void warnings.push(message);
      const options = { model, adapter, onWarning, ...place };
      await using opened = await openModel(options, { microBatchTokens: 8 });
      const { engine, plan } = opened;
      assert.equal(plan.tensors.find((one) => one.name === tensor)?.format, "f32");
      const found = await engine.readTensor(tensor, 0, 64, "f32", true);
      const expected = numbers.map((value, at) => value / 2 * factors[Math.floor(at / 64)]!);
      assert.deepEqual([...new Float32Array(found.buffer, found.byteOffset, 64 * 64)], expected);
      assert.match(
        warnings.join(),
        /changes whole matrices, of which 1 are stored as q8_0; they are held as f32/,
      );
    }),
  );

  Deno.test(
    `changed matrices are held wider than they are stored, and the others as before (${name})`,
    { ignore },
    withFolder(async (dir) => {
      const config = tinyConfig("llama");
      const stored = [...tinyWeights(config)].map(([tensor, { shape, data }]) => {
        const halves = new Float16Array(new Float32Array(data.buffer));
        return [tensor, { dtype: "F16", shape, data: halves } as TensorData] as const;
      });
      writeTinyFolder(join(dir, "model"), "llama", config, new Map(stored));
      writeScales(join(dir, "adapter"), new Float32Array(64).fill(2));
      const files = { model: join(dir, "model"), adapter: join(dir, "adapter") };
      await using model = await openModel({ ...files, ...place }, { microBatchTokens: 8 });
      const formatOf = (end: string) =>
        model.plan.tensors.find((one) => one.name.endsWith(`layers.0.self_attn.${end}.weight`))
          ?.format;
      assert.deepEqual([formatOf("v_proj"), formatOf("k_proj")], ["f32", "f16"]);
    }),
  );

  Deno.test(
    `an adapter of other shapes than the model's is refused (${name})`,
    { ignore },
    withFolder(async (dir) => {
      writeScales(join(dir, "adapter"), new Float32Array(48).fill(2));
      const options = { model: MODEL, adapter: join(dir, "adapter"), ...place };
      await assert.rejects(mergeAdapter({ ...options, out: join(dir, "out") }), {
        kind: "data",
        message: /changes ".*v_proj" of shape \[48, any\], but ".*" has ".*" of shape \[32, 64\]/,
      });
    }),
  );
}
