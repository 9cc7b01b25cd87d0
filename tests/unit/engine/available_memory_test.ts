/** The memory that is free: known where it may be asked for, and never asked for with a prompt. */

import assert from "node:assert/strict";
import { availableMemory } from "../../../src/engine/available_memory.ts";

const GIB = 2 ** 30;

Deno.test("free memory: at most what the machine has, and what WASM can address", () => {
  const { total } = Deno.systemMemoryInfo();
  const native = availableMemory({ host: "native", device: "cpu" });
  assert.ok(native !== null && native > 0 && native <= total, `${native} of ${total}`);
  const wasm = availableMemory({ host: "wasm", device: "cpu" });
  assert.ok(wasm !== null && wasm > 0 && wasm <= 4 * GIB);
  assert.equal(availableMemory({ host: "native", device: "gpu" }), null);
});

Deno.test({
  name: "free memory: without the permission only WASM has a limit",
  permissions: { sys: false },
  fn() {
    assert.equal(availableMemory({ host: "native", device: "cpu" }), null);
    assert.equal(availableMemory({ host: "wasm", device: "cpu" }), 4 * GIB);
  },
});
