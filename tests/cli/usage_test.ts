/** Mistakes on the command line: code 64, one sentence that helps, no trace. */

import assert from "node:assert/strict";
import { refusalProblem, runCli } from "./run_cli.ts";

const BASE = ["train", "--model", "no/model", "--data", "no/data.jsonl"];

const MISTAKES: [title: string, args: string[], words: RegExp][] = [
  ["unknown command", ["trian"], /"trian" is not a command; did you mean train\?/],
  ["unknown command, nothing like it", ["xyzzy"], /expected one of train, evaluate, generate/],
  ["unknown option", [...BASE, "--lrr", "3"], /--lrr is not known; did you mean --lr\?/],
  ["option spelled as a key", [...BASE, "--max_steps", "3"], /did you mean --max-steps\?/],
  ["short option", [...BASE, "-x"], /-x/],
  [
    "boolean option with a value",
    [...BASE, "--json=true"],
    /--json=true .* --json takes no value;/,
  ],
  [
    "boolean key with a value",
    [...BASE, "--resume=false"],
    /--resume takes no value; give --resume/,
  ],
  [
    "a path after --resume",
    [...BASE, "--resume", "runs/a"],
    /"runs\/a" .* --resume takes no value, the run folder is --out;/,
  ],
  [
    "a second file without its flag",
    [...BASE, "--data", "a.jsonl", "b.jsonl"],
    /"b\.jsonl" is not expected: --data takes one value, so say --data again before this one;/,
  ],
  ["option without a value", ["train", "--model"], /--model has no value; see train --help/],
  [
    "value without an option",
    ["train", "model"],
    /"model" is not expected: it belongs to no option/,
  ],
  [
    "nothing at all",
    ["train"],
    /--model \(in a file model:\) is missing.*\n.*--data \(in a file data:\) is/,
  ],
  ["a word for a number", [...BASE, "--lr", "fast"], /--lr is "fast"; expected a number above 0/],
  ["a negative number", [...BASE, "--lr=-1"], /--lr is -1; expected a number above 0/],
  ["no whole number", [...BASE, "--max-steps", "2.5"], /--max-steps is 2\.5; expected a whole/],
  [
    "zero where one is least",
    [...BASE, "--keep", "0"],
    /--keep is 0; expected a whole number from 1/,
  ],
  [
    "unknown method",
    [...BASE, "--method", "spiel"],
    /--method is "spiel"; expected one of spiel-ag/,
  ],
  ["later method", [...BASE, "--method", "lora"], /LoRA is not supported yet/],
  ["unknown device", [...BASE, "--device", "tpu"], /expected one of auto, gpu, cpu/],
  ["a GPU by name", [...BASE, "--device", "cpu", "--gpu", "H100"], /expected device gpu/],
  ["unknown quantisation", [...BASE, "--quantize", "q2"], /expected one of none, nf4, q8_0, q4_0/],
  [
    "two budgets",
    [...BASE, "--density", "0.1", "--num-deltas", "5"],
    /cannot be combined with density/,
  ],
  [
    "two lengths",
    [...BASE, "--epochs", "1", "--max-steps", "5"],
    /cannot be combined with max_steps/,
  ],
  [
    "a window that does not fit",
    [...BASE, "--reselection-steps", "4"],
    /does not fit reselection_steps 4/,
  ],
  [
    "a weight of nothing",
    ["train", "--model", "m", "--data", "a:0"],
    /data "a:0" has the weight 0; expected a number above 0/,
  ],
  ["half a --set", [...BASE, "--set", "lr"], /--set is "lr"; expected KEY=VALUE/],
  [
    "unknown key in --set",
    [...BASE, "--set", "ler=1"],
    /--set ler is not known; did you mean lr\?/,
  ],
  ["half a map", [...BASE, "--map", "prompt="], /--map is "prompt="; expected FIELD=NAME pairs/],
  ["a size without sense", [...BASE, "--memory-budget", "8 apples"], /expected a number of bytes/],
  ["a missing configuration", [...BASE, "--config", "no.yaml"], /"no\.yaml" does not exist/],
  [
    "several mistakes",
    [...BASE, "--lr", "0", "--seed", "x"],
    /2 things are wrong.*\n.*--seed.*\n.*--lr|--lr.*\n.*--seed/,
  ],
  [
    "a switch turned off",
    [...BASE, "--no-profile"],
    /--no-profile is not an option: --profile is off where .*; over a file, --set profile=false turns it off/,
  ],
  [
    "a switch turned off that no file turns on",
    [...BASE, "--no-json"],
    /--no-json is not an option: --json is off where it is not given$/m,
  ],
  [
    "several unknown options",
    [...BASE, "--lrr", "3", "--sede=1", "--keep", "2"],
    /2 things are wrong:\n.*--lrr.*\n.*--sede is not known; did you mean --seed\?/,
  ],
  [
    "several numbers of generate",
    ["generate", "--prompt", "p", "--top-p", "3", "--seed", "x"],
    /3 things are wrong:\n.*--model is missing.*\n.*--top-p.*\n.*--seed/,
  ],
  [
    "merge without anything",
    ["merge", "--dtype", "x"],
    /4 things are wrong:\n.*--model is.*\n.*--adapter is.*\n.*--out is.*\n.*--dtype is/,
  ],
  ["merge without adapter", ["merge", "--model", "m"], /--adapter is missing; expected a folder/],
  ["merge without out", ["merge", "--model", "m", "--adapter", "a"], /--out is missing/],
  ["merge to unknown numbers", [
    "merge",
    "--model",
    "m",
    "--adapter",
    "a",
    "--out",
    "o",
    "--dtype",
    "int8",
  ], /--dtype is "int8"; expected one of f32, f16, bf16/],
  [
    "merge to an unknown kind of GGUF file",
    ["merge", "--model", "m", "--out", "o", "--gguf", "q3_k"],
    /--gguf is "q3_k"; expected one of f32, f16, bf16, q8_0, q4_0, q4_k/,
  ],
  [
    "merge to both forms, and examples for no test",
    ["merge", "--model", "m", "--out", "o", "--gguf", "f16", "--dtype", "f16"].concat(
      ["--no-self-test", "--data", "d"],
    ),
    /2 things are wrong:\n.*--dtype f16 is for a Hugging Face folder.*\n.*--data is for the self-test/,
  ],
  [
    "merge with names of fields of nothing",
    ["merge", "--model", "m", "--out", "o", "--gguf", "f16", "--map", "text=a"],
    /--map is for the examples of --data, which is missing/,
  ],
  [
    "generate beyond all",
    ["generate", "--model", "m", "--prompt", "p", "--top-p", "3"],
    /--top-p is "3"; expected a number above 0 and at most 1/,
  ],
  [
    "generate from the likeliest none",
    ["generate", "--model", "m", "--prompt", "p", "--top-p", "0"],
    /--top-p is "0"; expected a number above 0 and at most 1/,
  ],
  [
    "generate by numbers that only sampling takes, without a temperature",
    ["generate", "--model", "m", "--prompt", "p", "--top-p", "0.9", "--seed", "1"],
    /--top-p and --seed would change nothing: --temperature is 0, .*; give a --temperature above 0/,
  ],
  [
    "generate from an empty prompt, before the model is looked at",
    ["generate", "--model", "m", "--prompt", " "],
    /--prompt is empty; expected text to answer, or --raw/,
  ],
  ["generate without a model", ["generate", "--prompt", "p"], /--model is missing; expected a/],
  ["evaluate without data", ["evaluate", "--model", "m"], /--data is missing; expected a/],
  ["inspect nothing", ["inspect"], /PATH is missing; see inspect --help/],
  ["inspect two", ["inspect", "a", "b"], /"b" is not expected/],
  ["inspect rows without a model", ["inspect", "a", "--rows", "2"], /--rows needs --model/],
  ["doctor with a flag of train", ["doctor", "--lr", "1"], /--lr is not known; see doctor --help/],
];

Deno.test("command-line mistakes are told in a sentence", async (test) => {
  for (const [title, args, words] of MISTAKES) {
    await test.step(title, async () => {
      assert.equal(refusalProblem(await runCli(args), 64, words), undefined);
    });
  }
});

Deno.test("the training entry refuses as the command does", async () => {
  const finished = await runCli(["--lrr", "3"], { entry: "train.ts" });
  assert.equal(refusalProblem(finished, 64, /--lrr is not known; did you mean --lr\?/), undefined);
});

Deno.test("a configuration file is refused with line and column, every problem at once", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/run.yaml`;
    await Deno.writeTextFile(path, "model: m\ndata: [d]\nlrr: 1\nmax_steps: many\n");
    const finished = await runCli(["train", "--config", path]);
    assert.equal(refusalProblem(finished, 64, /run\.yaml:3:1: lrr is not known/), undefined);
    assert.match(finished.stderr, /run\.yaml:4:1: max_steps is "many"; expected a whole number/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a refused permission is answered with the flag to add", async () => {
  const finished = await runCli(["train", "--config", "run.yaml"], {
    permissions: ["--no-prompt"],
  });
  assert.equal(
    refusalProblem(finished, 78, /add --allow-read=run\.yaml to the deno command/),
    undefined,
  );
});

Deno.test("a configuration file names all that its reader needs at once", async () => {
  const path = await Deno.makeTempFile({ suffix: ".yaml" });
  const finished = await runCli(["train", "--config", path], {
    permissions: ["--no-prompt", "--allow-read"],
  });
  await Deno.remove(path);
  assert.equal(refusalProblem(finished, 78, /takes --allow-env=LOG_TOKENS,LOG_STREAM/), undefined);
});

Deno.test("SPIEL_DEBUG shows where an error comes from", async () => {
  const finished = await runCli(["trian"], { env: { SPIEL_DEBUG: "1" } });
  assert.equal(finished.code, 64);
  assert.match(finished.stderr, /^error: "trian" is not a command/);
  assert.match(finished.stderr, /^\s+at .+flags\.ts/m);
});

Deno.test("no command at all shows the commands, and is a mistake", async () => {
  const { code, stdout, stderr } = await runCli([]);
  assert.deepEqual([code, stdout], [64, ""]);
  assert.match(
    stderr,
    /^Usage: main\.ts COMMAND [\s\S]*^ {2}train .*[\s\S]*^error: COMMAND is missing\n$/m,
  );
});
