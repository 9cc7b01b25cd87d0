/** Sums of a profile by operation, shape and format. */

import assert from "node:assert/strict";
import { sumByShape } from "../../../bench/shapes.ts";
import type { ProfileRow } from "../../../src/engine/protocol.gen.ts";

const row = (shape: number[], seconds: number, format: ProfileRow["format"] = null) => ({
  ...{ operation: "attention", shape, format, seconds },
  ...{ calls: 1, flops: null, bytes: null },
});

Deno.test("rows of one shape are summed, and of one format", () => {
  const rows = [
    row([4, 4], 3),
    row([1, 4], 2),
    row([1, 4], 2.5),
    row([1, 4], 1, "f16"),
    row([], 5),
  ];
  assert.deepEqual(
    sumByShape(rows).map(({ operation, calls, seconds }) => [operation, calls, seconds]),
    [
      ["attention", 1, 5],
      ["attention 1x4", 2, 4.5],
      ["attention 4x4", 1, 3],
      ["attention 1x4 f16", 1, 1],
    ],
  );
});
