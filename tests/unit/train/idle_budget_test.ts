/** Keys that choose deltas where an adapter to start from brings its own. */

import assert from "node:assert/strict";
import { runConfig, type RunOptions } from "../../../src/train/run_config.ts";
import { idleBudgetWarning } from "../../../src/train/run_model.ts";

const warningOf = (options: Partial<RunOptions>) =>
  idleBudgetWarning(runConfig({ model: "m", data: ["d"], ...options }));

Deno.test("what chooses deltas changes nothing where an adapter brings them, and is told so", () => {
  assert.equal(
    warningOf({ adapter: "a", density: 0.5, targetModules: ["q_proj"] }),
    'density and target_modules change nothing: the deltas are those of adapter "a"',
  );
  assert.equal(
    warningOf({ adapter: "a", numDeltas: 9 }),
    'num_deltas changes nothing: the deltas are those of adapter "a"',
  );
  assert.deepEqual([warningOf({ adapter: "a" }), warningOf({ density: 0.5 })], [null, null]);
});
