/** `validate` of several files: what is wrong with each is told. */

import assert from "node:assert/strict";
import { runCli } from "./run_cli.ts";
import { TinyFolder } from "./tiny_folder.ts";

Deno.test("validate tells what is wrong with every file", async () => {
  using folder = new TinyFolder();
  const files = ["a", "b", "c"].map((name) => folder.at(`${name}.jsonl`));
  const [a, b, c] = files as [string, string, string];
  Deno.writeTextFileSync(a, '{"text": "whole"}\n{"text": "cut off');
  Deno.writeTextFileSync(b, '{"text": "whole"}\n');
  Deno.writeTextFileSync(c, '{"text": "whole"}\n{"text": 7}\n');
  const { code, stderr } = await runCli(["validate", ...files]);
  assert.equal(code, 65);
  const errors = stderr.match(/^error: .*$/gm) ?? [];
  assert.equal(errors.length, 2, stderr);
  assert.ok(errors[0]!.startsWith(`error: ${a}:2: not valid JSON`), stderr);
  assert.ok(errors[1]!.startsWith(`error: ${c}:2: `), stderr);
  assert.equal((await runCli(["validate", b])).code, 0);
});
