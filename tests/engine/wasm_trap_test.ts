/** A fault of the WASM engine ends the call that met it, never the process. */

import assert from "node:assert/strict";
import { open } from "../../src/engine/open.ts";
import { openWasm } from "../../src/engine/wasm.ts";
import { cliCommand, refusalProblem, runCli } from "../cli/run_cli.ts";
import { TinyFolder } from "../cli/tiny_folder.ts";

const TRAPPING = new URL("../support/trapping_engine.ts", import.meta.url).pathname;

/** More than the module's allocator gives out at once; never touched, so it costs nothing. */
const TOO_LARGE = 3 * 2 ** 30;

Deno.test("wasm: a trap becomes a reply, and the engine takes no more requests", async () => {
  const { transport } = await openWasm();
  const stats = JSON.stringify({ op: "engineStats" });
  const before = JSON.parse((await transport.call(stats, new Uint8Array(0))).header);
  assert.equal(before.code, "invalidState");
  const trapped = JSON.parse((await transport.call(stats, new Uint8Array(TOO_LARGE))).header);
  assert.equal(trapped.kind, "error");
  assert.match(trapped.message, /^The engine failed: |^Cannot allocate /);
  const after = JSON.parse((await transport.call(stats, new Uint8Array(0))).header);
  assert.equal(after.code, "internal");
  assert.match(after.message, /takes no more requests/);
  transport.close();
});

Deno.test("wasm: after a trap in one engine another one works", async () => {
  {
    await using engine = await open({ host: "wasm" });
    await assert.rejects(
      () => engine.writeTensor("a", 0, new Uint8Array(TOO_LARGE)),
      { name: "SpielError" },
    );
    await assert.rejects(() => engine.stats(), { kind: "internal" });
  }
  await using engine = await open({ host: "wasm" });
  assert.equal((await engine.stats()).totalBytes, 0);
});

Deno.test("wasm: a plan that exceeds the module's memory ends the command line with 69, and says what helps", async () => {
  using folder = new TinyFolder();
  const remedies = "try a smaller --micro-batch-tokens, --activation-checkpointing block, " +
    'a lower --density or the native engine (run "npx -y deno@2.9.6 task build")';
  const refusals = [
    ["50000000", /need one buffer of 11\.9 GiB, over the 2\.0 GiB that CPU .* allows; /],
    ["2000000", /run needs 18\.5 GiB of memory, over the 4\.0 GiB that this build can address; /],
  ] as const;
  for (const [tokens, words] of refusals) {
    const args = folder.trainArgs("run", "--memory-budget", "none").map((arg, at, all) =>
      all[at - 1] === "--micro-batch-tokens" ? tokens : arg
    );
    const finished = await runCli(args);
    assert.equal(refusalProblem(finished, 69, words), undefined);
    assert.ok(finished.stderr.includes(remedies), finished.stderr);
  }
});

Deno.test("wasm: a trap ends the command line with a sentence and 70", async () => {
  using folder = new TinyFolder();
  const permissions = ["--no-prompt", "--allow-read", "--allow-write", `--preload=${TRAPPING}`];
  const output = await cliCommand(folder.trainArgs("run"), { permissions }).output();
  const [stdout, stderr] = [output.stdout, output.stderr].map((b) => new TextDecoder().decode(b));
  const finished = { code: output.code, stdout: stdout!, stderr: stderr! };
  assert.equal(refusalProblem(finished, 70, /The engine failed: unreachable/), undefined);
});
