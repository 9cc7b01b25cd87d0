/** Peak memory: in bytes, with no permission, and no less than what was held. */

import assert from "node:assert/strict";
import { peakMemory } from "../../../src/engine/peak_memory.ts";

Deno.test({
  name: "peak memory: known without a permission, and follows what is held",
  permissions: "none",
  fn() {
    const before = peakMemory();
    assert.ok(before !== null && before > 2 ** 24 && before < 2 ** 40, `${before}`);
    // More than the process ever held, other tests in it included.
    const held = new Uint8Array(before + 2 ** 27);
    // Pages that were never written to are not in memory.
    for (let at = 0; at < held.length; at += 4096) held[at] = 1;
    const after = peakMemory()!;
    assert.ok(after >= held.length && after <= 4 * held.length, `${before}, then ${after}`);
  },
});
