/** Models as one file each that is then cut or has bits flipped, and what a user may see of them. */

import assert from "node:assert/strict";
import { isSpielError, SpielError } from "../../src/errors.ts";
import { evaluateModel } from "../../src/train/evaluate_model.ts";
import { byteTokenizerParts, SPECIAL_TOKENS } from "../support/byte_tokenizer.ts";
import { buildGguf, type GgufField } from "../support/gguf_builder.ts";
import type { HostedDevice } from "../support/hosts.ts";
import { ggufNames, tinyConfig, tinyMetadata, tinyWeights } from "../support/tiny_model.ts";

/**
 * The bytes of a GGUF file that is a whole model, tokenizer and chat template included.
 *
 * @param missing Tokens of the tokenizer that the model has no embedding for.
 */
export function wholeGguf(missing = 0): Uint8Array {
  const { json, chatTemplate } = byteTokenizerParts();
  const { vocab, merges } = json.model as { vocab: Record<string, number>; merges: string[][] };
  const tokens = [...Object.keys(vocab).sort((a, b) => vocab[a]! - vocab[b]!), ...SPECIAL_TOKENS];
  const config = { ...tinyConfig("llama"), vocab_size: tokens.length - missing };
  const names = ggufNames(config.num_hidden_layers);
  const string = (value: string): GgufField => ({ type: "string", value });
  const types = tokens.map((token) => SPECIAL_TOKENS.includes(token) ? 3 : 1);
  return buildGguf({
    metadata: [
      ...tinyMetadata("llama", config),
      ["tokenizer.ggml.model", string("gpt2")],
      ["tokenizer.ggml.pre", string("gpt-2")],
      ["tokenizer.ggml.tokens", { type: "strings", value: tokens }],
      ["tokenizer.ggml.token_type", { type: "i32s", value: types }],
      ["tokenizer.ggml.merges", { type: "strings", value: merges.map((pair) => pair.join(" ")) }],
      ["tokenizer.chat_template", string(chatTemplate ?? "")],
    ],
    tensors: [...tinyWeights(config)].map(([name, { shape, data }]) => ({
      name: names.get(name)!,
      dimensions: [...shape].reverse(),
      type: 0,
      data: new Uint8Array(data.buffer as ArrayBuffer),
    })),
  });
}

/** Length of the header of a safetensors file. */
export function safetensorsHeaderLength(bytes: Uint8Array): number {
  return 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
}

/** A copy with some bits of the first `length` bytes flipped. */
export function flipBits(
  bytes: Uint8Array,
  length: number,
  count: number,
  random: () => number,
): Uint8Array {
  const flipped = bytes.slice();
  for (let i = 0; i < count; i++) {
    flipped[Math.floor(random() * length)]! ^= 1 << Math.floor(random() * 8);
  }
  return flipped;
}

/** Longer than any of these files takes, undamaged or refused. */
const PATIENCE_MS = 20_000;

/**
 * Loads a model and measures it. A flipped bit may be harmless, such as in a number that does not matter here;
 * otherwise the model must be refused in a sentence, and quickly.
 *
 * @returns The refusal, or null.
 */
export async function refusalOf(
  place: Pick<HostedDevice, "host" | "device">,
  model: string,
  data: string,
): Promise<SpielError | null> {
  const begun = performance.now();
  const { host, device } = place;
  try {
    const { loss } = await evaluateModel({ model, data: [data], maxLength: 48, host, device });
    assert.ok(Number.isFinite(loss));
    return null;
  } catch (error) {
    if (!isSpielError(error)) throw error;
    assert.notEqual(error.kind, "internal", error.message);
    // A sentence, and a list behind it where every example is refused.
    assert.match(error.message, /^\P{Cc}{10,}(\n {2}- \P{Cc}+)*$/u);
    return error;
  } finally {
    const elapsed = performance.now() - begun;
    assert.ok(elapsed < PATIENCE_MS, `took ${elapsed} ms`);
  }
}
