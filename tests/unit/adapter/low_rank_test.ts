/** What LoRA and DoRA make of rows. */
import assert from "node:assert/strict";
import { LowRankChange } from "../../../src/adapter/dense/low_rank.ts";

Deno.test("DoRA brings rows to their lengths, and leaves a row of zeros", () => {
  const change = new LowRankChange({
    down: Float32Array.of(1, 0),
    up: Float32Array.of(1, 0, -1),
    rank: 1,
    scale: 2,
    magnitude: Float32Array.of(10, 5, 7),
  });
  const rows = Float32Array.of(1, 4, 0, 0, 2, 0);
  change.apply(rows, 2, 0);
  assert.deepEqual(rows, Float32Array.of(6, 8, 0, 0, 0, 0));
});
