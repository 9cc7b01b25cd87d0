/** The tasks of the commands: each is there, has what it needs, and no more than its kind of work takes. */

import assert from "node:assert/strict";
import { COMMANDS } from "../../cli/commands/mod.ts";
import { HubServer } from "../support/hub_server.ts";
import { runCli } from "./run_cli.ts";
import { partsOf } from "./task_permissions.ts";
import { TinyFolder } from "./tiny_folder.ts";

Deno.test("every command is a task without a permission too many", () => {
  for (const { name } of COMMANDS) {
    const { permissions, program } = partsOf(name);
    assert.equal(program, name === "train" ? "cli/train.ts" : `cli/main.ts ${name}`);
    assert.equal(permissions[0], "--no-prompt", name);
    // All but adapter reach the hub, whose files go into a cache that may lie anywhere.
    assert.ok(permissions.includes("--allow-write"), name);
    assert.equal(permissions.includes("--allow-net"), name !== "adapter", name);
    assert.equal(
      permissions.includes("--allow-ffi"),
      !["adapter", "download", "inspect", "validate"].includes(name),
      name,
    );
    const others = permissions.filter((flag) =>
      !/^--(no-prompt|allow-(read|write|net|ffi|env=[\w,]+|sys=systemMemoryInfo))$/.test(flag)
    );
    assert.deepEqual(others, [], name);
  }
});

Deno.test("training leaves V8 little room for garbage beside the model, nothing else has flags for it", () => {
  const flags = COMMANDS.map(({ name }) => [name, ...partsOf(name).v8]);
  assert.deepEqual(flags.filter(([, ...v8]) => v8.length > 0), [
    ["train", "--v8-flags=--max-semi-space-size=4"],
  ]);
});

Deno.test("doctor's task tells of the permissions of train", () => {
  const flags = (name: string) =>
    partsOf(name).permissions.join(" ").replace(/ --allow-env=.*/, "");
  assert.equal(flags("doctor"), flags("train"));
});

Deno.test("what a task permits is enough for its command", async (test) => {
  using folder = new TinyFolder();
  await using server = new HubServer();
  server.add("datasets/org/data", { "train.jsonl": Deno.readFileSync(folder.data) });
  const env = { HF_ENDPOINT: server.endpoint, HF_HOME: folder.at("hf") };
  const model = ["--model", folder.model, "--host", "wasm"];
  const adapter = ["--adapter", folder.at("run/adapter")];
  const argsOf: Record<string, string[]> = {
    train: folder.trainArgs("run").slice(1),
    evaluate: [...model, ...adapter, "--data", folder.data, "--max-length", "64"],
    generate: [...model, ...adapter, "--prompt", "say 1", "--max-new-tokens", "2"],
    merge: [...model, ...adapter, "--out", folder.at("merged")],
    adapter: ["convert", folder.at("run/adapter"), "--out", folder.at("converted")],
    download: ["hf:org/data"],
    inspect: [folder.at("merged")],
    validate: ["hf:org/data", "--model", folder.model],
    doctor: [],
  };
  for (const { name } of COMMANDS) {
    await test.step(name, async () => {
      const { permissions } = partsOf(name);
      const { code, stderr } = await runCli([name, ...argsOf[name] ?? []], { permissions, env });
      assert.deepEqual([code, stderr], [0, ""]);
    });
  }
});
