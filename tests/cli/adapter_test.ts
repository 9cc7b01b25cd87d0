/** Adapters on other models than their own, and paths of the wrong kind: refused by name, with what was meant. */

import assert from "node:assert/strict";
import { refusalProblem, runCli } from "./run_cli.ts";
import { TinyFolder } from "./tiny_folder.ts";

const DOWN = "model\\.layers\\.0\\.mlp\\.down_proj";

/** Models that the adapter of `TinyFolder`'s model does not fit, and the words that say where. */
const OTHERS: [title: string, changes: Parameters<TinyFolder["makeModel"]>[1], words: string][] = [
  [
    "a wider model, in which every position lies",
    { hidden_size: 128 },
    `base model has "${DOWN}" of shape \\[64, 96\\], this one "${DOWN}" of shape \\[128, 96\\]`,
  ],
  [
    "a deeper model",
    { num_hidden_layers: 3 },
    'base model has no "model\\.layers\\.2\\..*", this one "model\\.layers\\.2\\..*" of shape',
  ],
  [
    "a shallower model",
    { num_hidden_layers: 1 },
    'base model has "model\\.layers\\.1\\..*" of shape .*, this one no "model\\.layers\\.1\\.',
  ],
];

/** Arguments of every command that takes an adapter. */
function commands(folder: TinyFolder, model: string, adapter: string): string[][] {
  const files = ["--model", model, "--adapter", adapter, "--host", "wasm"];
  return [
    ["merge", ...files, "--out", folder.at("merged")],
    ["generate", ...files, "--prompt", "say 1"],
    ["evaluate", ...files, "--data", folder.data],
    ["train", ...files, "--data", folder.data, "--out", folder.at("other"), "--max-length", "64"],
  ];
}

Deno.test("an adapter of another model, and paths of the wrong kind", async (test) => {
  using folder = new TinyFolder();
  const trained = await runCli(folder.trainArgs("run", "--max-steps", "2", "--save-every", "1"));
  assert.equal(trained.code, 0, trained.stderr);
  const run = folder.at("run");
  const adapter = folder.at("run/adapter");

  for (const [index, [title, changes, words]] of OTHERS.entries()) {
    const model = folder.makeModel(`other-${index}`, changes);
    const all = commands(folder, model, adapter);
    for (const args of index === 0 ? all : all.slice(0, 1)) {
      await test.step(`${args[0]}: ${title}`, async () => {
        const expected = new RegExp(`Adapter ".*run/adapter" is of another model than.*${words}`);
        assert.equal(refusalProblem(await runCli(args), 65, expected), undefined);
      });
    }
  }

  await test.step("an adapter without shapes on a narrower model", async () => {
    const model = folder.makeModel("narrower", { hidden_size: 32 });
    const bare = folder.at("bare");
    Deno.mkdirSync(bare);
    Deno.copyFileSync(`${adapter}/adapter_model.safetensors`, `${bare}/adapter_model.safetensors`);
    const { spiel: _, ...config } = JSON.parse(
      Deno.readTextFileSync(`${adapter}/adapter_config.json`),
    );
    folder.write("bare/adapter_config.json", JSON.stringify(config));
    const [merge = []] = commands(folder, model, bare);
    const words =
      /bare" has a delta at position \d+ of ".*", but the model's has shape \[\d+, 32\]/;
    assert.equal(refusalProblem(await runCli(merge), 65, words), undefined);
  });

  const checkpoint = folder.at("run/checkpoints/step-00000002");
  const MISTAKES: [title: string, model: string, adapter: string | null, words: RegExp][] = [
    [
      "a run as the model",
      run,
      null,
      /Model ".*run" is a run folder; did you mean its base model ".*model" with --adapter ".*adapter"\?/,
    ],
    ["an adapter as the model", adapter, null, /Model ".*" is an adapter; name it by --adapter/],
    ["a checkpoint as the model", checkpoint, null, /Model ".*" is a checkpoint/],
    [
      "a run as the adapter",
      folder.model,
      run,
      /Adapter ".*run" is a run folder; did you mean ".*run\/adapter"\?/,
    ],
    ["a model as the adapter", folder.model, folder.model, /Adapter ".*" is a model; name it by/],
    ["a checkpoint as the adapter", folder.model, checkpoint, /Adapter ".*" is a checkpoint/],
  ];
  for (const [title, model, wrong, words] of MISTAKES) {
    await test.step(title, async () => {
      const more = wrong === null ? [] : ["--adapter", wrong];
      const args = ["generate", "--model", model, ...more, "--prompt", "p", "--host", "wasm"];
      assert.equal(refusalProblem(await runCli(args), 65, words), undefined);
    });
  }

  await test.step("a run as the model whose tokenizer reads data", async () => {
    const refused = await runCli(["inspect", folder.data, "--model", run]);
    assert.equal(refusalProblem(refused, 65, /Model ".*run" is a run folder/), undefined);
  });

  await test.step("inspect tells all that an adapter's files know", async () => {
    const { stdout } = await runCli(["inspect", adapter, "--json"]);
    const facts = JSON.parse(stdout);
    const { base_model, method, step, density, deltas, modules } = facts;
    assert.deepEqual({ base_model, method, step, density }, {
      base_model: folder.model,
      method: "spiel-ag",
      step: 2,
      density: 0.05,
    });
    const one = modules["model.layers.0.self_attn.q_proj"];
    assert.deepEqual(one.shape, [128, 64]);
    assert.equal(one.share, one.deltas / (128 * 64));
    const counts = Object.values<{ deltas: number }>(modules).map((module) => module.deltas);
    assert.equal(counts.reduce((sum, count) => sum + count), deltas);
    const text = (await runCli(["inspect", adapter])).stdout;
    assert.match(text, /^ {2}method +spiel-ag$/m);
    assert.match(text, /^ {2}model\.layers\.0\.self_attn\.q_proj +[\d,]+ +128, 64 /m);
  });
});
