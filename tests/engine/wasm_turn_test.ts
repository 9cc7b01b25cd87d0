/** The WASM engine computes on the thread of the event loop: what waits there, such as a signal, gets its turn. */

import assert from "node:assert/strict";
import { open } from "../../src/engine/open.ts";

Deno.test("wasm: timers and signals have their turn between calls", async () => {
  await using engine = await open({ host: "wasm", device: "cpu" });
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  try {
    const end = performance.now() + 400;
    while (performance.now() < end) await engine.runProduct(64, 64, 64, 10);
  } finally {
    clearInterval(timer);
  }
  assert.ok(turns >= 3, `${turns} turns`);
});
