/** Workers of an engine's threads: how they start, fail and let the process end. */

import assert from "node:assert/strict";
import { EngineWorkers } from "../../../src/engine/wasm_workers.ts";
import { tellToTrap, threadModule } from "../../support/thread_module.ts";

const memory = () => new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });

const never = () => new Promise<void>(() => {});

Deno.test("workers: what is waited for is told, also after the workers have ended", async () => {
  const workers = new EngineWorkers();
  assert.equal(
    await workers.start(threadModule("returns"), memory(), Uint32Array.of(8, 16)),
    undefined,
  );
  await workers.wait(Promise.resolve());
  await assert.rejects(() => workers.wait(Promise.reject(new Error("a cause"))), /a cause/);
});

Deno.test("workers: one that fails ends the wait, and every later one", async () => {
  const workers = new EngineWorkers();
  const shared = memory();
  await workers.start(threadModule("trapsWhenTold"), shared, Uint32Array.of(8));
  setTimeout(() => tellToTrap(shared), 1);
  await assert.rejects(() => workers.wait(never()), /unreachable/);
  await assert.rejects(() => workers.wait(never()), /unreachable/);
});

Deno.test("workers: one that fails before anybody waits is told to the first who does", async () => {
  const workers = new EngineWorkers();
  await workers.start(threadModule("traps"), memory(), Uint32Array.of(8));
  await assert.rejects(() => workers.wait(never()), /unreachable/);
});

Deno.test("workers: what does not start is no failure of the engine's", async () => {
  const workers = new EngineWorkers();
  const other = new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6D, 1, 0, 0, 0));
  assert.match(await workers.start(other, memory(), Uint32Array.of(8)) ?? "", /not a function/);
  await workers.wait(Promise.resolve());
});

Deno.test("workers: when one fails, nothing waits any longer for another that does not start", async () => {
  const { setTimeout: set, clearTimeout: clear } = globalThis;
  const waiting = new Set<unknown>();
  let begun = 0;
  globalThis.setTimeout = ((...args: Parameters<typeof set>) => {
    const timer = set(...args);
    if (args[1] === 60_000) {
      waiting.add(timer);
      begun++;
    }
    return timer;
  }) as typeof set;
  globalThis.clearTimeout = (timer) => {
    waiting.delete(timer);
    clear(timer);
  };
  try {
    const workers = new EngineWorkers();
    const module = threadModule("returns", "oneTraps");
    assert.match(await workers.start(module, memory(), Uint32Array.of(8, 16)) ?? "", /unreachable/);
    assert.deepEqual([begun, waiting.size], [1, 0]);
  } finally {
    Object.assign(globalThis, { setTimeout: set, clearTimeout: clear });
  }
});

Deno.test("workers: without being told, an engine takes up to 8 threads", () => {
  const { most } = new EngineWorkers();
  assert.equal(most, Math.min(8, navigator.hardwareConcurrency));
});
