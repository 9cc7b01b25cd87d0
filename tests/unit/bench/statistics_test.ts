/** What several runs are summed up in. */

import assert from "node:assert/strict";
import { median, middle } from "../../../bench/statistics.ts";

Deno.test("a median is the middle value, or the mean of the middle two", () => {
  assert.deepEqual([median([3, 1, 2]), median([4, 1, 3, 2]), median([])], [2, 2.5, NaN]);
});

Deno.test("one row for several has the medians of numbers, and the first row's words", () => {
  const rows = [
    { name: "a", share: 0.5, peak: null, threads: 2 },
    { name: "a", share: 0.9, peak: 7, threads: 2 },
    { name: "a", share: 0.8, peak: 9, threads: 2 },
  ];
  assert.deepEqual(middle(rows), { name: "a", share: 0.8, peak: null, threads: 2 });
  assert.deepEqual(middle([]), {});
});
