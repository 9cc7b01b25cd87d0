/** The threads of the WASM engine: what they need, how they end, and what is left without them. */

import assert from "node:assert/strict";
import type { Engine } from "../../src/engine/engine.ts";
import { open } from "../../src/engine/open.ts";
import { EngineWorkers } from "../../src/engine/wasm_workers.ts";
import { SMALL_CONFIG } from "../support/small_model.ts";
import { trainSmall } from "../support/small_run.ts";
import { tellToTrap, threadModule } from "../support/thread_module.ts";

const LEFT_OPEN = new URL("left_open_fixture.ts", import.meta.url).pathname;

const CPU = { host: "wasm", device: "cpu" } as const;

/** Opens an engine whose workers are started in another way. */
async function openWith(start: EngineWorkers["start"], threads?: number): Promise<Engine> {
  const { prototype } = EngineWorkers;
  const before = prototype.start;
  prototype.start = start;
  try {
    return await open({ ...CPU, threads });
  } finally {
    prototype.start = before;
  }
}

const trainOn = (engine: Engine) =>
  trainSmall(engine, {
    config: SMALL_CONFIG,
    method: "spiel-ag",
    steps: 4,
    seed: 3,
    lengths: [20, 11],
  });

Deno.test("threads: where no workers start there is one thread, with the same results", async () => {
  const none = () => Promise.resolve("no workers here");
  await using alone = await openWith(none);
  assert.equal(alone.info.threads, 1);
  await using two = await open({ ...CPU, threads: 2 });
  assert.equal(two.info.threads, 2);
  assert.deepEqual(await trainOn(alone), await trainOn(two));
});

Deno.test("threads: as many as are asked for start, or none do", async () => {
  await assert.rejects(() => openWith(() => Promise.resolve("no workers here"), 2), {
    kind: "device",
    message: "Cannot start 2 threads of the WASM engine: no workers here; --threads 1 needs none",
  });
});

Deno.test("threads: a trap in a worker fails its call with the cause, and no other engine", async () => {
  const { start } = EngineWorkers.prototype;
  let shared: WebAssembly.Memory | undefined;
  {
    await using engine = await openWith(function (this: EngineWorkers, _, memory, threads) {
      shared = memory;
      return start.call(this, threadModule("trapsWhenTold"), memory, threads);
    }, 2);
    tellToTrap(shared!);
    await assert.rejects(() => engine.runProduct(8, 8, 8, 1), {
      kind: "internal",
      message: "The engine failed: unreachable",
    });
    await assert.rejects(() => engine.stats(), { kind: "internal" });
  }
  await using engine = await open({ ...CPU, threads: 2 });
  assert.equal((await engine.stats()).totalBytes, 0);
});

Deno.test("threads: what JavaScript alone can do is done on the calling thread", async () => {
  await using engine = await open({ ...CPU, threads: 2 });
  assert.ok(Array.isArray((await engine.gpus()).gpus));
});

Deno.test("threads: workers need no permission, and an engine left open keeps no process", async () => {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--no-check", "--quiet", LEFT_OPEN],
    signal: AbortSignal.timeout(60_000),
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  assert.deepEqual([code, text(stdout), text(stderr)], [0, "2\n", ""]);
});

/** Threads of this process. */
const running = () => [...Deno.readDirSync("/proc/self/task")].length;

Deno.test("threads: an engine's workers end when it is closed", {
  ignore: Deno.build.os !== "linux",
}, async () => {
  const openings = async () => {
    for (let i = 0; i < 5; i++) await (await open({ ...CPU, threads: 2 })).close();
  };
  await openings();
  const before = running();
  await openings();
  const deadline = performance.now() + 10_000;
  while (running() > before && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.ok(running() <= before, `${running()} threads run, ${before} did before`);
});
