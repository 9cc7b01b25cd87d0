/** The command `adapter`: what it says and makes, and how it refuses. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { refusalProblem, runCli } from "./run_cli.ts";
import { TinyFolder } from "./tiny_folder.ts";

const GOLDEN = fileURLToPath(new URL("../golden", import.meta.url));
const SFT = `${GOLDEN}/adapters/sft_fork_f32`;
const MODEL = ["--model", `${GOLDEN}/tiny_llama`];

Deno.test("adapters are converted and added, and what came out is told", async () => {
  using folder = new TinyFolder();
  const shira = folder.at("shira");
  const args = ["adapter", "convert", SFT, ...MODEL, "--layout", "shira", "--out", shira];
  const converted = await runCli([...args, "--json"]);
  assert.deepEqual([converted.code, converted.stderr], [0, ""]);
  assert.deepEqual(JSON.parse(converted.stdout), {
    out: shira,
    layout: "SHIRA",
    deltas: 2464,
    overlaps: 0,
    padding: 2160,
  });
  const added = await runCli(["adapter", "add", shira, SFT, "--out", folder.at("sum")]);
  assert.deepEqual([added.code, added.stdout], [
    0,
    `SFT adapter of 2,464 deltas saved in ${folder.at("sum")}\n` +
    "2,464 positions are in more than one of the adapters\n",
  ]);
  assert.match(added.stderr, /^warning: Adapter ".*sft_fork_f32" does not record its base model/);
});

Deno.test("the command adapter refuses in sentences", async (test) => {
  const BAD: [args: string[], code: number, words: RegExp][] = [
    [
      ["multiply", SFT, "--out", "x"],
      64,
      /"multiply" is not an action of adapter; expected one of convert/,
    ],
    [["convret", SFT, "--out", "x"], 64, /"convret" is not an action .*; did you mean convert\?/],
    [
      ["scale", SFT, "--by", "1e39", "--out", "x"],
      64,
      /1e\+39 times the deltas of "model\..*" of ".*sft_fork_f32" is more than f32 holds/,
    ],
    [["add", SFT, "--out", "x"], 64, /add takes 2 adapters or more, not 1/],
    [["convert", SFT], 64, /--out is missing/],
    [["scale", SFT, "--out", "x"], 64, /--by is missing; expected a number other than 0/],
    [["scale", SFT, "--by", "half", "--out", "x"], 64, /--by is "half"; expected a number/],
    [["convert", SFT, "--by", "2", "--out", "x"], 64, /--by belongs to the action scale/],
    [["convert"], 64, /ADAPTERS is missing/],
    [["convert", SFT, "--layout", "ia3", "--out", "x"], 64, /the layout is "ia3"; expected one of/],
    [["convert", "nowhere", "--out", "x"], 65, /Cannot load adapter "nowhere": no such folder/],
  ];
  for (const [args, code, words] of BAD) {
    await test.step(args.join(" "), async () => {
      assert.equal(refusalProblem(await runCli(["adapter", ...args]), code, words), undefined);
    });
  }
});
