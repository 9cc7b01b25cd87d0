/** `merge` by the command line: what it tells of its self-test, and the exit codes of what it refuses. */

import assert from "node:assert/strict";
import { refusalProblem, runCli } from "./run_cli.ts";
import { TinyFolder } from "./tiny_folder.ts";

/** The model with the ids that end its answers. */
function withEnds(folder: TinyFolder, ends: number[]): string {
  const model = folder.copyModel(`ends-${ends.length}`);
  const generation = JSON.stringify({ eos_token_id: ends });
  Deno.writeTextFileSync(`${model}/generation_config.json`, generation);
  return model;
}

Deno.test("merge makes a GGUF file, and tells what it costs", async () => {
  using folder = new TinyFolder();
  const out = folder.at("gguf");
  const args = ["merge", "--model", folder.model, "--host", "wasm", "--gguf", "q8_0", "--out", out];
  const told = await runCli([...args, "--data", folder.data, "--max-length", "64"]);
  assert.equal(told.code, 0, told.stderr);
  assert.match(
    told.stdout,
    /^self-test: \d+ tokens alike; logits differ by \d\.\d\d % of their spread \(limit 50\.00 %\).*\n/,
  );
  assert.match(told.stdout, /\nloss on its conversation: .* over 127 tokens\n/);
  assert.match(told.stdout, /\nloss on --data: \d\.\d{4} before, \d\.\d{4} as saved \([+-]\d.*\n/);
  assert.match(told.stdout, /\nmerged model of .* saved in .*gguf as q8_0\n$/);
  const names = [...Deno.readDirSync(out)].map(({ name }) => name).sort();
  assert.deepEqual(names, ["Modelfile", "model-q8_0.gguf"]);
  const generate = ["generate", "--model", `${out}/model-q8_0.gguf`, "--prompt", "say 1"];
  const answer = await runCli([...generate, "--max-new-tokens", "4", "--host", "wasm"]);
  assert.equal(answer.code, 0, answer.stderr);

  const plain = await runCli([...args.slice(0, -1), folder.at("json"), "--json"]);
  const { self_test: test, ...rest } = JSON.parse(plain.stdout);
  assert.deepEqual(Object.keys(rest), ["out", "dtype", "bytes"]);
  assert.ok(test.difference < test.bound && test.conversation.before > 0, plain.stdout);
  const untested = await runCli([...args.slice(0, -1), folder.at("u"), "--json", "--no-self-test"]);
  assert.equal(JSON.parse(untested.stdout).self_test, null);
});

Deno.test("merge refuses what it cannot save faithfully, and leaves nothing", async () => {
  using folder = new TinyFolder();
  const args = (model: string, ...more: string[]) =>
    ["merge", "--model", model, "--gguf", "f16", "--out", folder.at("out"), "--host", "wasm"]
      .concat(more);
  // A GGUF file names three ends at most.
  const four = withEnds(folder, [261, 262, 10, 11]);
  const cases: [string[], number, RegExp][] = [
    [args(four), 65, /Self-test failed: .* answers end at the tokens .*--no-self-test saves it/],
    [args(folder.data), 65, /neither a folder nor a \.gguf file/],
    [args(folder.model, "--memory-budget", "1"), 69, /over the --memory-budget/],
  ];
  const bare = folder.copyModel("bare");
  Deno.removeSync(`${bare}/tokenizer.json`);
  cases.push([args(bare), 65, /has neither tokenizer\.json nor tokenizer\.model/]);
  for (const [command, code, words] of cases) {
    assert.equal(refusalProblem(await runCli(command), code, words), undefined);
    assert.throws(() => Deno.statSync(folder.at("out")));
  }
  assert.equal((await runCli(args(four, "--no-self-test"))).code, 0);
});
