/** What workloads are made of. */

import assert from "node:assert/strict";
import { randomBatch } from "../../../bench/workload.ts";
import { MODEL_SHAPES } from "../../../tools/make_synthetic/shapes.ts";

const CONFIG = { ...MODEL_SHAPES["smollm2-135m"]!, vocab_size: 100 };

Deno.test("a random batch has a target at each of its tokens, and sequences of one length", () => {
  const { tokens, targets, cuSeqlens } = randomBatch(CONFIG, 12, 3);
  assert.deepEqual([...cuSeqlens], [0, 4, 8, 12]);
  assert.deepEqual([tokens.length, targets.length], [12, 12]);
  assert.deepEqual([...targets.subarray(0, -1)], [...tokens.subarray(1)]);
  assert.ok([...tokens, ...targets].every((token) => token < CONFIG.vocab_size));
  assert.ok(new Set(tokens).size > 6, `${tokens}`);
  assert.deepEqual([...randomBatch(CONFIG, 7, 2).cuSeqlens], [0, 3, 7]);
});
