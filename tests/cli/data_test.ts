/** Data as a newcomer brings it: what is refused, left out or reported, and figures that agree. */

import assert from "node:assert/strict";
import { refusalProblem, runCli } from "./run_cli.ts";
import { TinyFolder } from "./tiny_folder.ts";

const GOOD = '{"prompt":"say","completion":"it"}\n';
const EMPTY = '{"prompt":"say","completion":""}\n';
const LONG = `{"prompt":"${"p".repeat(90)}","completion":"it"}\n`;

/** Arguments of a short run on one file alone. */
function trainOn(folder: TinyFolder, path: string, ...more: string[]): string[] {
  return folder.trainArgs("run", ...more).map((arg) => arg === folder.data ? path : arg);
}

const REFUSED: [title: string, data: string, more: string[], words: RegExp][] = [
  [
    "examples that teach nothing",
    `${GOOD}${EMPTY}${LONG}${EMPTY}`,
    [],
    /3 of 4 .*--skip-bad.*:\n {2}- .*:2, 4: field "completion" is "".*\n.*:3: .*--max-length 1\d\d /,
  ],
  ["nothing but such examples", EMPTY, ["--skip-bad"], /data\.jsonl:1: field "completion" is ""/],
  [
    "a row that is short",
    "prompt,completion\na,b\nc\n",
    [],
    /data\.jsonl:3: the row has 1 field; expected 2/,
  ],
  ["printed objects", '{\n"text": "a"\n}\n', [], /is JSON over many lines; .*; jq -c \./],
  ["a mistyped map", GOOD, ["--map", "prompt=sy"], /"sy", which --map names for prompt/],
  ["a map of no use", '{"text":"t"}\n', ["--map", "prompt=q"], /--map prompt=q is of no use/],
];

Deno.test("data that cannot be used is refused before the model is looked at, or with all its lines", async (test) => {
  using folder = new TinyFolder();
  for (const [title, data, more, words] of REFUSED) {
    await test.step(title, async () => {
      const path = folder.write("data.jsonl", data);
      const finished = await runCli(trainOn(folder, path, "--dry-run", ...more));
      assert.equal(refusalProblem(finished, 65, words), undefined);
    });
  }
});

Deno.test("a run says how each file is read and why", async () => {
  using folder = new TinyFolder();
  const table = folder.write("data.csv", "instruction,output,text\ni,o,t\n");
  const args = [
    ...trainOn(folder, table, "--dry-run"),
    "--eval-data",
    folder.write("a.jsonl", GOOD),
  ];
  const { code, stdout, stderr } = await runCli(args);
  assert.equal(code, 0, stderr);
  assert.match(
    stdout,
    /data\.csv: CSV, alpaca \(line 2 has the fields "instruction", "output"; it would fit text as well\)\n/,
  );
  assert.match(stdout, /a\.jsonl: JSON Lines, prompt_completion \(line 1 has the fields/);
  assert.match(
    stdout,
    /data\.csv:2, as it is trained on:\n<\|turn\|>user\ni<\|end\|>\n<\|turn\|>assistant\n\{\+o<\|end\|>\+\}\n/,
  );
});

Deno.test("--skip-bad leaves bad examples out, says so, and resumes", async () => {
  using folder = new TinyFolder();
  const more = folder.write("more.jsonl", `${EMPTY}${GOOD}{\n`);
  const args = folder.trainArgs("run", "--data", more, "--skip-bad");
  const { code, stdout, stderr } = await runCli(args);
  assert.equal(code, 0, stderr);
  assert.match(
    stderr,
    /warning: left out 2 of 19 examples:\n {2}- .*more\.jsonl:1: field .*\n.*:3: /,
  );
  assert.match(stdout, /\n {2}train +17 /);
  // The examples that are left are the same ones without the others, so the run is the same.
  folder.write("more.jsonl", GOOD);
  const resumed = await runCli(folder.trainArgs("run", "--data", more, "--resume"));
  assert.equal(resumed.code, 0, resumed.stderr);
});

Deno.test("evaluate leaves bad examples out as well", async () => {
  using folder = new TinyFolder();
  const data = folder.write("data.jsonl", `${GOOD}${EMPTY}`);
  const args = ["evaluate", "--model", folder.model, "--data", data, "--host", "wasm", "--json"];
  assert.equal(refusalProblem(await runCli(args), 65, /data\.jsonl:2: field/), undefined);
  const { code, stdout, stderr } = await runCli([...args, "--skip-bad"]);
  assert.equal(code, 0, stderr);
  assert.equal(JSON.parse(stdout).examples, 1);
  assert.match(stderr, /left out 1 of 2 examples/);
});

Deno.test("inspect reports what a run would refuse", async () => {
  using folder = new TinyFolder();
  const path = folder.write("data.jsonl", `${GOOD}${EMPTY}${LONG}{\n`);
  const args = ["inspect", path, "--model", folder.model, "--max-length", "64"];
  const people = await runCli(args);
  assert.equal(people.code, 0, people.stderr);
  assert.match(
    people.stdout,
    /\n +1 +\S+data\.jsonl:3 +none of the first 64 tokens .*--max-length/,
  );
  const { kind, records, read_by_model: read, bad_examples: bad, rows } = JSON.parse(
    (await runCli([...args, "--json"])).stdout,
  );
  assert.deepEqual([kind, records, read.examples, read.bad_examples, rows.length], [
    "data",
    3,
    1,
    3,
    1,
  ]);
  assert.deepEqual(bad.map(({ where }: { where: string }) => where.split(":").at(-1)), [
    "2",
    "3",
    "4",
  ]);
});

Deno.test("what files say is no command to a terminal", async () => {
  using folder = new TinyFolder();
  const path = folder.write("data.jsonl", '{"text":"a\\u001b[31m","\\u001b[32m":1}\n\u001b[33m\n');
  const args = ["inspect", path, "--model", folder.model];
  const { stdout, stderr } = await runCli(args);
  assert.ok(!stdout.includes("\x1b"), stdout);
  for (const code of ["\\x1b[31m", "\\x1b[32m", "\\x1b"]) assert.ok(stdout.includes(code), code);
  const warned = await runCli(trainOn(folder, path, "--dry-run", "--skip-bad"));
  assert.match(warned.stderr, /left out 1 of 2/, stderr);
  assert.ok(!warned.stderr.includes("\x1b"), warned.stderr);
});

Deno.test("inspect, its rows and a run count the same targets", async () => {
  using folder = new TinyFolder();
  const path = folder.write("data.jsonl", '{"text":"one two"}\n{"text":"three"}\n');
  const inspected = await runCli(["inspect", path, "--model", folder.model, "--json"]);
  const { read_by_model: read, rows } = JSON.parse(inspected.stdout);
  const sum = (name: string) => rows.reduce((total: number, row: never) => total + row[name], 0);
  assert.deepEqual([sum("tokens"), sum("trained_tokens")], [read.tokens, read.target_tokens]);
  assert.equal(read.target_tokens, read.tokens - 2, "all but each example's first token");
  const heldOut = folder.write("held_out.jsonl", GOOD.repeat(5));
  const evalData = ["--eval-data", heldOut, "--eval-examples", "3", "--dry-run"];
  const { stdout, stderr } = await runCli(trainOn(folder, path, ...evalData));
  assert.match(stdout, new RegExp(`\n  train +2 +${read.tokens} +${read.target_tokens} `), stderr);
  assert.match(stdout, /\n {2}held-out +3 /);
});

Deno.test("inspect warns as a run does of what the model was not made for", async () => {
  using folder = new TinyFolder();
  const model = folder.makeModel("short", { max_position_embeddings: 32 });
  const path = folder.write("data.jsonl", LONG);
  const words = /warning: max_length 1024 lets .* max_position_embeddings is 32: .*; max_length 32/;
  const inspected = await runCli(["inspect", path, "--model", model]);
  assert.match(inspected.stderr, words);
  const more = ["--model", model, "--max-length", "1024", "--micro-batch-tokens", "1024"];
  assert.match((await runCli(trainOn(folder, path, ...more, "--dry-run"))).stderr, words);
});

Deno.test("workers that may not read their program are told with the flag", async () => {
  using folder = new TinyFolder();
  const permissions = [`--allow-read=${folder.path}`, `--allow-write=${folder.path}`];
  const args = folder.trainArgs("run", "--data-workers", "1");
  const finished = await runCli(args, { permissions });
  assert.equal(refusalProblem(finished, 78, /add --allow-read=\S+src.*data_workers 0/), undefined);
  const alone = await runCli([...args, "--data-workers", "0"], { permissions });
  assert.equal(alone.code, 0, alone.stderr);
});

Deno.test("a data set of the hub that is named without its prefix is told with it", async () => {
  using folder = new TinyFolder();
  const args = ["train", "--model", folder.model, "--data", "openai/gsm8k", "--dry-run"];
  const { code, stderr } = await runCli([...args, "--out", folder.at("out")]);
  assert.equal(code, 65);
  assert.match(stderr, /--data "openai\/gsm8k" does not exist; .* is "hf:openai\/gsm8k"$/m);
});
