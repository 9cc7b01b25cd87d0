/** The typed binding: order of calls, failures, closing. */

import assert from "node:assert/strict";
import { Engine } from "../../../src/engine/engine.ts";
import type { Message, Transport } from "../../../src/engine/transport.ts";
import { checkVersion } from "../../../src/engine/transport.ts";
import { PROTOCOL_HASH } from "../../../src/engine/protocol.gen.ts";
import { openFakeEngine } from "../../support/fake_engine.ts";

const ABOUT = { host: "wasm", version: "0", reason: "a test" } as const;

Deno.test("engine: calls reach the transport one at a time, in order", async () => {
  const events: string[] = [];
  let running = 0;
  const transport: Transport = {
    async call(header): Promise<Message> {
      assert.equal(++running, 1, "a call began before the one before had ended");
      const { op } = JSON.parse(header);
      await new Promise((resolve) => setTimeout(resolve, 1));
      events.push(op);
      running--;
      const reply = op === "engineOpen"
        ? { kind: "engineInfo", device: "cpu", adapter: "", threads: 1, formats: [] }
        : { kind: "done" };
      return { header: JSON.stringify(reply), payload: new Uint8Array(0) };
    },
    close: () => void events.push("close"),
  };
  const engine = await Engine.open({ transport, ...ABOUT }, { device: "auto" });
  const calls = [engine.beginCandidates(), engine.clearGrads(), engine.endCandidates()];
  await engine.close();
  await Promise.allSettled(calls);
  assert.deepEqual(events, [
    "engineOpen",
    "candidatesBegin",
    "gradClear",
    "candidatesEnd",
    "close",
  ]);
});

Deno.test("engine: info tells what was opened and why", async () => {
  const { engine } = await openFakeEngine();
  const { host, device, adapter, threads, reason } = engine.info;
  assert.deepEqual(
    { host, device, adapter, threads, reason },
    { host: "wasm", device: "cpu", adapter: "fake", threads: 1, reason: "a test" },
  );
  await engine.close();
});

for (
  const [op, code, kind] of [
    ["candidatesBegin", "invalidState", "internal"],
    ["candidatesBegin", "invalidRequest", "internal"],
    ["tensorWrite", "invalidRequest", "data"],
    ["modelCreate", "outOfMemory", "device"],
    ["engineStats", "deviceUnavailable", "device"],
    ["engineStats", "internal", "internal"],
    ["engineStats", "deviceLost", "interrupted"],
  ] as const
) {
  Deno.test(`engine: ${code} of ${op} becomes an error of kind ${kind}`, async () => {
    const { engine, fake } = await openFakeEngine();
    fake.intercept = (request) =>
      request.op === op ? { kind: "error", code, message: "Reason given" } : undefined;
    const call = {
      candidatesBegin: () => engine.beginCandidates(),
      tensorWrite: () => engine.writeTensor("a", 0, new Uint8Array(4)),
      modelCreate: () => engine.planModel({} as never, {} as never),
      engineStats: () => engine.stats(),
    }[op];
    const advice = code === "deviceLost"
      ? "; saved checkpoints are intact: run again, a training run with --resume"
      : "";
    await assert.rejects(call, { name: "SpielError", kind, message: `Reason given${advice}` });
    fake.intercept = undefined;
    if (code === "internal") {
      await assert.rejects(() => engine.clearGrads(), {
        kind: "internal",
        message: /fault of its own: Reason given/,
      });
    } else {
      await engine.clearGrads();
    }
    await engine.close();
  });
}

Deno.test("engine: an answer of the wrong kind is our fault", async () => {
  const { engine, fake } = await openFakeEngine();
  fake.intercept = () => ({ kind: "done" });
  await assert.rejects(() => engine.readUpdate(), {
    kind: "internal",
    message: 'The engine answered updateRead with "done"',
  });
  await engine.close();
});

Deno.test("engine: closing is final, twice is harmless, and a scope closes", async () => {
  const { engine, fake } = await openFakeEngine();
  {
    await using scoped = engine;
    await scoped.clearGrads();
  }
  assert.equal(fake.closed, true);
  await engine.close();
  await assert.rejects(() => engine.clearGrads(), {
    kind: "internal",
    message: "The engine is closed",
  });
});

Deno.test("engine: a device that does not open frees the engine", async () => {
  let closed = false;
  const header = JSON.stringify({ kind: "error", code: "deviceUnavailable", message: "No GPU" });
  const transport: Transport = {
    call: () => Promise.resolve({ header, payload: new Uint8Array(0) }),
    close: () => void (closed = true),
  };
  await assert.rejects(() => Engine.open({ transport, ...ABOUT }, { device: "gpu" }), {
    kind: "device",
    message: "No GPU",
  });
  assert.equal(closed, true);
});

Deno.test("engine: a stale build is refused with what to do", () => {
  const ours = JSON.stringify({ version: "1.2.3", protocol: PROTOCOL_HASH });
  assert.equal(checkVersion(ours, "The engine", "build it"), "1.2.3");
  const stale = JSON.stringify({ version: "1.2.3", protocol: "0" });
  assert.throws(() => checkVersion(stale, "The engine", "build it"), {
    kind: "environment",
    message: `The engine speaks protocol 0, this code speaks ${PROTOCOL_HASH}: build it`,
  });
});
