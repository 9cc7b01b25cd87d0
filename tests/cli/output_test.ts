/** Outputs that cannot be written: the system's reason in a sentence, and no advice that would not help. */

import assert from "node:assert/strict";
import { refusalProblem, runCli } from "./run_cli.ts";
import { TinyFolder } from "./tiny_folder.ts";

const LINUX = Deno.build.os === "linux";
const FULL = "/dev/full";

Deno.test("a full disk under standard output", { ignore: !LINUX }, async (test) => {
  using folder = new TinyFolder();
  const COMMANDS: [title: string, args: string[]][] = [
    ["inspect as text", ["inspect", folder.model]],
    ["inspect as JSON", ["inspect", folder.model, "--json"]],
    ["doctor", ["doctor", "--json"]],
    ["help", ["--help"]],
    ["help of a command", ["merge", "--help"]],
    ["version", ["--version"]],
    ["generate", ["generate", "--model", folder.model, "--prompt", "a", "--host", "wasm"]],
    ["train as JSON", folder.trainArgs("run", "--json")],
  ];
  for (const [title, args] of COMMANDS) {
    await test.step(title, async () => {
      const { code, stderr } = await runCli(args, { stdoutTo: FULL });
      assert.equal(code, 74, stderr);
      assert.match(stderr, /^error: Cannot write to standard output: no space left on the device/m);
    });
  }
  await test.step("a run is whole all the same", () => {
    const metrics = Deno.readTextFileSync(folder.at("run/metrics.jsonl"));
    assert.match(metrics, /"event":"done","step":6,/);
  });
});

Deno.test("a full disk under standard error changes no exit code", { ignore: !LINUX }, async () => {
  const { code } = await runCli(["train", "--model", "no/model", "--data", "no"], {
    stderrTo: FULL,
  });
  assert.equal(code, 65);
});

Deno.test("places where nothing can be made", { ignore: !LINUX }, async (test) => {
  using folder = new TinyFolder();
  const trained = await runCli(folder.trainArgs("run"));
  assert.equal(trained.code, 0, trained.stderr);
  const adapter = folder.at("run/adapter");
  const merge = ["merge", "--model", folder.model, "--adapter", adapter, "--host", "wasm"];
  const train = folder.trainArgs("unused");
  const all = ["--no-prompt", "--allow-all"];
  const OWN = /system's own folders; choose another\n$/;
  const CASES: [args: string[], out: string, permissions: string[] | null, number, RegExp][] = [
    [train, "/proc/x", all, 74, /Cannot open run folder "\/proc\/x": no such file or folder\n$/],
    [train, "/proc/x", null, 78, OWN],
    [train, FULL, all, 64, /"\/dev\/full" is a file; choose another --out\n$/],
    [train, FULL, null, 78, OWN],
    [train, `${FULL}/x`, all, 74, /a part of the path is not a folder\n$/],
    [train, folder.data, null, 64, /train\.jsonl" is a file; choose another --out\n$/],
    [train, `${folder.data}/x`, null, 74, /a part of the path is not a folder\n$/],
    [train, folder.at("x".repeat(300)), null, 74, /the name is too long\n$/],
    [
      [...train, "--resume"],
      folder.model,
      null,
      64,
      /is not empty \(config\.json …\).*; choose another/,
    ],
    [merge, "/proc/x", all, 74, /Cannot save the merged model in "\/proc": .*\n$/],
    [merge, "/proc/x", null, 78, OWN],
    [merge, FULL, all, 64, /"\/dev\/full" exists already; choose another folder/],
    [merge, folder.data, null, 64, /train\.jsonl" exists already; choose another folder/],
    [merge, `${folder.data}/x`, null, 74, /a file of that name is in the way\n$/],
  ];
  for (const [args, out, permissions, code, words] of CASES) {
    await test.step(`${args[0]} to ${out.slice(-20)} ${permissions?.at(-1) ?? ""}`, async () => {
      const finished = await runCli([...args, "--out", out], permissions ? { permissions } : {});
      assert.equal(refusalProblem(finished, code, words), undefined);
      assert.ok(!/add --allow/.test(finished.stderr), finished.stderr);
    });
  }
  await test.step("the model's folder was left as it was", () => {
    const names = [...Deno.readDirSync(folder.model)].map(({ name }) => name).sort();
    assert.ok(!names.includes("run.lock"), names.join());
  });
});

Deno.test("a run never takes the place of what it is made from", async (test) => {
  using folder = new TinyFolder();
  const full = (model: string, out: string) => [
    ...["train", "--model", model, "--data", folder.data, "--out", out, "--host", "wasm"],
    ...["--method", "full", "--max-steps", "1", "--max-length", "64", "--micro-batch-tokens", "64"],
    "--resume",
  ];
  const untouched = async (args: string[], model: string, words: RegExp) => {
    const weights = Deno.readFileSync(`${model}/model.safetensors`);
    assert.equal(refusalProblem(await runCli(args), 64, words), undefined);
    assert.deepEqual(Deno.readFileSync(`${model}/model.safetensors`), weights);
  };
  await test.step("a folder that looks like a run by some names", async () => {
    Deno.mkdirSync(folder.at("checkpoints"));
    await untouched(
      full(folder.model, folder.path),
      folder.model,
      /is not empty \(checkpoints …\)/,
    );
  });
  await test.step("the model of the same run", async () => {
    const run = folder.at("full");
    const first = await runCli(full(folder.model, run));
    assert.equal(first.code, 0, first.stderr);
    const { stdout } = await runCli(["inspect", run, "--json"]);
    assert.equal(JSON.parse(stdout).output, `${run}/model`, stdout);
    await untouched(full(`${run}/model`, run), `${run}/model`, /would replace ".*full\/model"/);
  });
});
