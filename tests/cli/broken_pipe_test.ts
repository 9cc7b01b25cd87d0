/** Whoever reads along may leave: training goes on without a word, and what only tells something ends quietly. */

import assert from "node:assert/strict";
import { cliCommand } from "./run_cli.ts";
import { TinyFolder } from "./tiny_folder.ts";

for (const left of ["stdout", "stderr"] as const) {
  for (const json of [[], ["--json"]]) {
    Deno.test(`training goes on when nobody reads ${[left, ...json].join(" with ")}`, async () => {
      using folder = new TinyFolder();
      const args = folder.trainArgs("run", "--max-steps", "8", "--save-every", "1", ...json);
      const child = cliCommand(args).spawn();
      const other = child[left === "stdout" ? "stderr" : "stdout"].text();
      await child[left].cancel();
      const { code } = await child.status;
      assert.equal(code, 0, await other);
      assert.ok(Deno.statSync(folder.at("run/adapter/adapter_model.safetensors")).isFile);
      const metrics = Deno.readTextFileSync(folder.at("run/metrics.jsonl"));
      assert.match(metrics, /"event":"done","step":8,/);
    });
  }
}

Deno.test("a refusal keeps its code when nobody reads it", async () => {
  const child = cliCommand(["train", "--model", "nowhere"]).spawn();
  await Promise.all([child.stdout.cancel(), child.stderr.cancel()]);
  assert.equal((await child.status).code, 64);
});

Deno.test("generate ends quietly when nobody reads on", async () => {
  using folder = new TinyFolder();
  const model = ["--model", folder.makeModel("long", { max_position_embeddings: 2 ** 20 })];
  const args = ["generate", ...model, "--host", "wasm", "--raw", "--prompt", "a"];
  // Far more than the time that the test has.
  const child = cliCommand([...args, "--temperature", "1", "--max-new-tokens", "1000000"]).spawn();
  const said = child.stderr.text();
  const reader = child.stdout.getReader();
  await reader.read();
  await reader.cancel();
  assert.equal((await child.status).code, 141);
  assert.equal(await said, "");
});

Deno.test("a description ends quietly when nobody reads it", async () => {
  using folder = new TinyFolder();
  for (const args of [["doctor"], ["inspect", folder.model]]) {
    const child = cliCommand(args).spawn();
    await child.stdout.cancel();
    assert.equal((await child.status).code, 141);
    assert.equal(await child.stderr.text(), "");
  }
});
