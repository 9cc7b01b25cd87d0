/** Mixtures, held-out shares and repeats from the command line. */

import assert from "node:assert/strict";
import { refusalProblem, runCli } from "./run_cli.ts";
import { TinyFolder } from "./tiny_folder.ts";

const OTHER = '{"prompt":"ask","completion":"ok"}\n';

/** Arguments of a dry run on these sources. */
function dryRun(folder: TinyFolder, sources: readonly string[], ...more: string[]): string[] {
  const args = folder.trainArgs("run", "--dry-run", ...more);
  const at = args.indexOf("--data");
  return args.toSpliced(at, 2, ...sources.flatMap((source) => ["--data", source]));
}

Deno.test("a mixture is drawn by weight, and told", async () => {
  using folder = new TinyFolder();
  const other = folder.write("other:2", OTHER.repeat(4));
  const sources = [`${folder.data}:3`, `${other}:1`];
  const { code, stdout, stderr } = await runCli(dryRun(folder, sources));
  assert.equal(code, 0, stderr);
  assert.match(
    stdout,
    /source +examples +drawn an epoch\n.*train\.jsonl +16 +15\n.*other:2 +4 +5\n/,
  );
  const alone = await runCli(dryRun(folder, [folder.data, other]));
  assert.equal(alone.code, 0, alone.stderr);
  assert.match(alone.stdout, /\n +train +20 /);
  assert.ok(!alone.stdout.includes("drawn"));
});

Deno.test("examples are held out of the training data, and repeats left out, where asked", async () => {
  using folder = new TinyFolder();
  const other = folder.write("other.jsonl", OTHER.repeat(4));
  const asked = ["--eval-split", "0.5", "--dedupe"];
  const { code, stdout, stderr } = await runCli(dryRun(folder, [folder.data, other], ...asked));
  assert.equal(code, 0, stderr);
  assert.match(stdout, /\n3 examples left out that repeat others\n/);
  const [, train, heldOut] = /\n +train +(\d+) .*\n +held-out +(\d+) /.exec(stdout) ?? [];
  assert.equal(Number(train) + Number(heldOut), 17);
  assert.ok(Number(heldOut) > 0);
});

const REFUSED: [title: string, sources: string[], more: string[], code: number, words: RegExp][] = [
  ["no weight at all", ["a:0"], [], 64, /"a:0" has the weight 0; expected a number above 0/],
  ["a negative weight", ["a:-1"], [], 64, /"a:-1" has the weight -1/],
  ["no number", ["a:NaN"], [], 64, /"a:NaN" has the weight NaN/],
  ["half a mixture", ["a:1", "b"], [], 64, /"a:1" has a weight, and "b" has none/],
  [
    "two kinds of held-out data",
    ["a"],
    ["--eval-data", "b", "--eval-split", "0.1"],
    64,
    /cannot be/,
  ],
  [
    "a weight of held-out data",
    ["DATA"],
    ["--eval-data", "b:0.5"],
    65,
    /only training data has a w/,
  ],
  [
    "too small a share",
    ["DATA"],
    ["--eval-split", "1e-9"],
    65,
    /holds out none of the 16 examples/,
  ],
];

Deno.test("what cannot be mixed or held out is refused", async (test) => {
  using folder = new TinyFolder();
  for (const [title, sources, more, code, words] of REFUSED) {
    await test.step(title, async () => {
      const paths = sources.map((source) => source.replace("DATA", folder.data));
      const finished = await runCli(dryRun(folder, paths, ...more));
      assert.equal(refusalProblem(finished, code, words), undefined);
    });
  }
});
