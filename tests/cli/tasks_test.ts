/** The tasks of the commands: each is there, has what it needs, and no more than its kind of work takes. */

import assert from "node:assert/strict";
import { COMMANDS } from "../../cli/commands/mod.ts";
import { runCli } from "./run_cli.ts";
import { TinyFolder } from "./tiny_folder.ts";

const { tasks } = JSON.parse(
  Deno.readTextFileSync(new URL("../../deno.json", import.meta.url)),
) as { tasks: Record<string, { command: string }> };

/** Deno's flags in a task, and what it runs with them. */
function partsOf(name: string): { permissions: string[]; program: string } {
  const words = tasks[name]?.command.split(" ") ?? [];
  const program = words.findIndex((word) => word.startsWith("cli/"));
  return { permissions: words.slice(2, program), program: words.slice(program).join(" ") };
}

Deno.test("every command is a task without a permission too many", () => {
  for (const { name } of COMMANDS) {
    const { permissions, program } = partsOf(name);
    assert.equal(program, name === "train" ? "cli/train.ts" : `cli/main.ts ${name}`);
    assert.equal(permissions[0], "--no-prompt", name);
    const writes = ["train", "merge", "adapter", "doctor"].includes(name);
    assert.equal(permissions.includes("--allow-write"), writes, name);
    assert.equal(permissions.includes("--allow-ffi"), !["adapter", "inspect"].includes(name), name);
    const others = permissions.filter((flag) =>
      !/^--(no-prompt|allow-(read|write|ffi|env=[\w,]+|sys=systemMemoryInfo))$/.test(flag)
    );
    assert.deepEqual(others, [], name);
  }
});

Deno.test("doctor's task tells of the permissions of train", () => {
  const flags = (name: string) =>
    partsOf(name).permissions.join(" ").replace(/ --allow-env=.*/, "");
  assert.equal(flags("doctor"), flags("train"));
});

Deno.test("what a task permits is enough for its command", async (test) => {
  using folder = new TinyFolder();
  const model = ["--model", folder.model, "--host", "wasm"];
  const adapter = ["--adapter", folder.at("run/adapter")];
  const argsOf: Record<string, string[]> = {
    train: folder.trainArgs("run").slice(1),
    evaluate: [...model, ...adapter, "--data", folder.data, "--max-length", "64"],
    generate: [...model, ...adapter, "--prompt", "say 1", "--max-new-tokens", "2"],
    merge: [...model, ...adapter, "--out", folder.at("merged")],
    adapter: ["convert", folder.at("run/adapter"), "--out", folder.at("converted")],
    inspect: [folder.at("merged")],
    doctor: [],
  };
  for (const { name } of COMMANDS) {
    await test.step(name, async () => {
      const { permissions } = partsOf(name);
      const { code, stderr } = await runCli([name, ...argsOf[name] ?? []], { permissions });
      assert.deepEqual([code, stderr], [0, ""]);
    });
  }
});
