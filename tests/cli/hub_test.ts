/** Names of the hub on the command line: every command that takes a model or data takes them. */

import assert from "node:assert/strict";
import { HubServer, noise } from "../support/hub_server.ts";
import { cliCommand, refusalProblem, runCli } from "./run_cli.ts";
import { permissionsOf } from "./task_permissions.ts";
import { TinyFolder } from "./tiny_folder.ts";

/** A hub that serves the tiny model and its data, and the environment that leads to it. */
function serve(server: HubServer, folder: TinyFolder): Record<string, string> {
  const names = [...Deno.readDirSync(folder.model)].map(({ name }) => name);
  const files = names.map((name) => [name, Deno.readFileSync(`${folder.model}/${name}`)] as const);
  server.add("models/org/tiny", { ...Object.fromEntries(files), "pytorch_model.bin": noise(2000) });
  const data = Deno.readFileSync(folder.data);
  const splits = "[{split: train, path: [a.jsonl, c.jsonl]}, {split: test, path: b.jsonl}]";
  const readme = `---\nconfigs:\n- config_name: default\n  data_files: ${splits}\n---\n# Data\n`;
  server.add("datasets/org/data", {
    "README.md": readme,
    "a.jsonl": data,
    "b.jsonl": data,
    "c.jsonl": data,
  });
  return { HF_ENDPOINT: server.endpoint, HF_HOME: folder.at("hf"), HF_TOKEN: "hf_secret" };
}

const HOST = ["--host", "wasm"];

Deno.test("hub: train, evaluate, generate, merge and inspect take its names, then offline", async (t) => {
  using folder = new TinyFolder();
  await using server = new HubServer();
  const env = serve(server, folder);
  const run = (args: string[], more: Record<string, string> = {}) =>
    runCli(args, { permissions: permissionsOf(args[0]!), env: { ...env, ...more } });
  const model = ["--model", "org/tiny"];
  const data = ["--data", "hf:org/data"];
  await t.step("train", async () => {
    const args = folder.trainArgs("run").flatMap((word, index, all) =>
      all[index - 1] === "--model" ? "org/tiny" : all[index - 1] === "--data" ? data[1]! : word
    );
    const { code, stdout, stderr } = await run(args);
    assert.deepEqual([code, stderr], [0, ""]);
    assert.match(stdout, /downloading org\/tiny: \d+ files, /);
    const adapter = JSON.parse(Deno.readTextFileSync(folder.at("run/adapter/adapter_config.json")));
    assert.equal(adapter.base_model_name_or_path, "org/tiny");
    const record = JSON.parse(Deno.readTextFileSync(folder.at("run/config.json")));
    assert.deepEqual([record.model.value, record.data.value], ["org/tiny", ["hf:org/data"]]);
    assert.equal(server.downloads("pytorch_model.bin").length, 0);
    assert.ok(!(stdout + JSON.stringify(record)).includes("hf_secret"));
  });
  const adapter = ["--adapter", folder.at("run/adapter")];
  const others: [string, string[]][] = [
    ["evaluate", [
      ...model,
      ...adapter,
      ...HOST,
      "--data",
      "hf:org/data:test",
      "--max-length",
      "64",
    ]],
    ["generate", [...model, ...adapter, ...HOST, "--prompt", "say 1", "--max-new-tokens", "2"]],
    ["merge", [...model, ...adapter, ...HOST, "--out", folder.at("merged")]],
    ["inspect", ["hf:org/data:test", ...model]],
    ["download", ["org/tiny", "hf:org/data:test"]],
  ];
  for (const [name, args] of others) {
    await t.step(name, async () => {
      const { code, stderr } = await run([name, ...args]);
      assert.deepEqual([code, stderr], [0, ""]);
    });
  }
  await t.step("inspect all files of a data set", async () => {
    const args = ["inspect", "hf:org/data:train", ...model, "--json"];
    const { code, stdout, stderr } = await run(args);
    assert.deepEqual([code, stderr.replace(/^.*downloading .*\n/gm, "")], [0, ""]);
    const { path, records, files, read_by_model: read } = JSON.parse(stdout);
    assert.deepEqual([path, records, read.examples], ["hf:org/data:train", 32, 32]);
    const names = files.map((file: { path: string }) => file.path.split("/").at(-1));
    assert.deepEqual(names, ["a.jsonl", "c.jsonl"]);
  });
  const before = server.seen.length;
  await t.step("offline", async () => {
    for (const [args, more] of [[["--offline"], {}], [[], { HF_HUB_OFFLINE: "1" }]] as const) {
      const { code, stdout, stderr } = await run(["inspect", "org/tiny", ...args], more);
      assert.deepEqual([code, stderr], [0, ""]);
      assert.match(stdout, /model_type/);
    }
    assert.equal(server.seen.length, before);
  });
});

Deno.test("hub: what Deno may not do is told with the flag to give", async (t) => {
  using folder = new TinyFolder();
  await using server = new HubServer();
  const env = serve(server, folder);
  const all = ["--no-prompt", "--allow-read", "--allow-write", "--allow-net", "--allow-env"];
  const cases: [missing: string, given: string[], words: RegExp][] = [
    ["net", [], /add --allow-net=127\.0\.0\.1:\d+ to the deno command/],
    [
      "net",
      [`--allow-net=${new URL(server.endpoint).host}`],
      /add --allow-net=127\.0\.0\.1:\d+ to/,
    ],
    ["env", [], /add --allow-env=HF_ENDPOINT,HF_TOKEN,.*HOME to the deno command/],
    ["write", [], /add --allow-write=\S*hf\S* to the deno command/],
  ];
  for (const [missing, given, words] of cases) {
    await t.step(`${missing} ${given.length}`, async () => {
      const permissions = [...all.filter((flag) => flag !== `--allow-${missing}`), ...given];
      const finished = await runCli(["download", "org/tiny"], { permissions, env });
      assert.equal(refusalProblem(finished, 78, words), undefined);
    });
  }
});

Deno.test("hub: permissions for the cache alone are enough", async () => {
  using folder = new TinyFolder();
  await using server = new HubServer();
  const env = serve(server, folder);
  const cache = folder.at("hf");
  const permissions = ["--no-prompt", `--allow-read=${cache}`, `--allow-write=${cache}`];
  // Without "hf:" it would be looked for here first.
  const args = ["generate", "--model", "hf:org/tiny", ...HOST, "--prompt", "say 1"];
  const flags = [...permissions, "--allow-net", "--allow-env"];
  const { code, stderr } = await runCli(args, { permissions: flags, env });
  assert.deepEqual([code, stderr], [0, ""]);
  const offline = await runCli([...args, "--offline"], { permissions: flags, env });
  assert.deepEqual([offline.code, offline.stderr], [0, ""]);
});

Deno.test("hub: a run folder in use is told before a model is downloaded", async () => {
  using folder = new TinyFolder();
  await using server = new HubServer();
  const env = serve(server, folder);
  Deno.mkdirSync(folder.at("run"));
  folder.write("run/notes.txt", "mine");
  const args = folder.trainArgs("run").map((word) => word === folder.model ? "org/tiny" : word);
  const finished = await runCli(args, { permissions: permissionsOf("train"), env });
  assert.notEqual(finished.code, 0);
  assert.match(finished.stderr, /is not empty/);
  assert.equal(server.seen.length, 0);
});

Deno.test("hub: a process that is killed while it downloads leaves what the next one goes on from", async () => {
  using folder = new TinyFolder();
  await using server = new HubServer();
  const env = serve(server, folder);
  const big = noise(400_000);
  server.add("models/org/big", { "big.gguf": big });
  let arrived: () => void = () => {};
  const isUnderWay = new Promise<void>((resolve) => arrived = resolve);
  server.fault = (seen, _right, body) => {
    if (seen.host !== "cdn" || body === null || seen.range !== null) return undefined;
    return new Response(
      new ReadableStream<Uint8Array>({
        start(controller) {
          controller.enqueue(body.subarray(0, 150_000));
          setTimeout(arrived, 500);
        },
      }),
    );
  };
  const permissions = permissionsOf("download");
  const child = cliCommand(["download", "org/big"], { permissions, env }).spawn();
  await isUnderWay;
  child.kill("SIGKILL");
  await child.output();
  const { code, stdout, stderr } = await runCli(["download", "org/big", "--json"], {
    permissions,
    env,
  });
  assert.equal(code, 0, stderr);
  assert.equal(server.seen.filter(({ host }) => host === "cdn").at(-1)?.range, "bytes=150000-");
  const { paths } = JSON.parse(stdout) as { paths: string[] };
  assert.deepEqual(Deno.readFileSync(paths[0]!), big);
});

Deno.test("hub: two processes download once", async () => {
  using folder = new TinyFolder();
  await using server = new HubServer();
  const env = serve(server, folder);
  server.add("models/org/big", { "big.gguf": noise(400_000) });
  server.fault = async (seen, right) => {
    if (seen.host === "cdn") await new Promise((resolve) => setTimeout(resolve, 1500));
    return right();
  };
  const permissions = permissionsOf("download");
  const run = () => runCli(["download", "org/big"], { permissions, env });
  const both = await Promise.all([run(), run()]);
  assert.deepEqual(both.map(({ code }) => code), [0, 0]);
  assert.equal(server.seen.filter(({ host }) => host === "cdn").length, 1);
  assert.ok(both.some(({ stdout }) => stdout.includes('another process downloads "big.gguf"')));
});

Deno.test("hub: a name that it does not have is told by its name, with code 65", async () => {
  using folder = new TinyFolder();
  await using server = new HubServer();
  const env = serve(server, folder);
  const permissions = permissionsOf("download");
  const finished = await runCli(["download", "org/tinny"], { permissions, env });
  assert.equal(
    refusalProblem(finished, 65, /"org\/tinny" does not exist here, and 127/),
    undefined,
  );
  const path = await runCli(["download", folder.data], { permissions, env });
  assert.equal(refusalProblem(path, 64, /is no name of the hub/), undefined);
});
