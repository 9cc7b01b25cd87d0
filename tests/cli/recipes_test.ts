/** The recipes: each is a run that begins, with small stand-ins for its model and data. */

import assert from "node:assert/strict";
import { parse } from "npm:yaml@2.9.1";
import { parseHubName } from "../../mod.ts";
import { runCli } from "./run_cli.ts";
import { TinyFolder } from "./tiny_folder.ts";

const FOLDER = new URL("../../examples/recipes/", import.meta.url);

const user = { role: "user", content: "say" };
const answer = { role: "assistant", content: "it" };

/** A file in the form of each recipe's data. */
const STAND_INS: Record<string, [name: string, content: string]> = {
  flan_v2: ["flan.jsonl", `${JSON.stringify({ inputs: "say", targets: "it", task: "t" })}\n`],
  gpt4_alpaca: [
    "alpaca_gpt4_data.json",
    JSON.stringify([{ instruction: "say", input: "", output: "it" }], null, 4),
  ],
  tulu_v2: [
    "tulu.jsonl",
    `${JSON.stringify({ dataset: "t", id: "1", messages: [user, answer, user, answer] })}\n`,
  ],
  gsm8k: ["gsm8k.jsonl", `${JSON.stringify({ question: "1 + 1?", answer: "2" })}\n`],
};

const recipes = [...Deno.readDirSync(FOLDER)].map(({ name }) => name)
  .filter((name) => name.endsWith(".yaml"));

Deno.test("every recipe has a stand-in, and is told of", () => {
  const readme = Deno.readTextFileSync(new URL("README.md", FOLDER));
  assert.deepEqual(recipes.toSorted(), Object.keys(STAND_INS).map((name) => `${name}.yaml`).sort());
  for (const name of recipes) assert.ok(readme.includes(`\`${name}\``), name);
});

for (const recipe of recipes) {
  Deno.test(`${recipe} plans its run`, async () => {
    using folder = new TinyFolder();
    const config = decodeURIComponent(new URL(recipe, FOLDER).pathname);
    const { model, data, eval_data: evalData = [] } = parse(Deno.readTextFileSync(config));
    parseHubName("model", model);
    for (const name of [...data, ...evalData]) {
      if (name.startsWith("hf:")) parseHubName("dataset", name);
      else assert.equal(new URL(name).protocol, "https:");
    }
    const standIn = folder.write(...STAND_INS[recipe.replace(".yaml", "")]!);
    const { code, stdout, stderr } = await runCli([
      ...["train", "--config", config, "--dry-run", "--host", "wasm", "--out", folder.at("run")],
      // As many deltas as a large rank has are more than the stand-in's weights.
      ...["--model", folder.model, "--data", standIn, "--rank-equivalent", "2"],
      ...(evalData.length > 0 ? ["--eval-data", standIn] : []),
    ]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /\n {2}train +1 .*\n/);
    assert.match(stdout, /\{\+.*(?:it|2)<\|end\|>\+\}/);
    assert.match(stdout, /dry run: nothing was trained/);
  });
}
