/** Help: complete, derived from the schema, and on standard output with code 0. */

import assert from "node:assert/strict";
import { COMMANDS } from "../../cli/commands/mod.ts";
import { evaluateCommand } from "../../cli/commands/evaluate.ts";
import { mergeCommand } from "../../cli/commands/merge.ts";
import { trainCommand } from "../../cli/commands/train.ts";
import type { AnyCommand } from "../../cli/flags.ts";
import { configKeyHelp } from "../../mod.ts";
import { runCli } from "./run_cli.ts";

Deno.test("help of train names every key once, under its group, with default and choices", () => {
  const help = trainCommand().helpInformation();
  const words = help.replace(/\s+/g, " ");
  for (const key of configKeyHelp().values()) {
    const lines = help.split("\n").filter((line) => line.trimStart().startsWith(`${key.flag} `));
    assert.equal(lines.length, 1, key.flag);
    assert.ok(words.includes(key.description), key.description);
    assert.ok(words.includes(`${key.group}:`), key.group);
    if (key.defaultText === undefined) {
      assert.ok(words.includes(`${key.description} [required]`), key.key);
    } else if (key.kind !== "boolean") {
      assert.ok(words.includes(`default: ${key.defaultText}`), key.key);
    }
    for (const choice of key.choices) assert.ok(words.includes(choice), `${key.key}: ${choice}`);
  }
  for (const flag of ["--config", "--set", "--json", "--help"]) {
    assert.ok(help.includes(flag), flag);
  }
});

Deno.test("help of train does not change unnoticed", async () => {
  const snapshot = new URL("train_help.txt", import.meta.url);
  assert.equal(trainCommand().helpInformation(), await Deno.readTextFile(snapshot));
});

Deno.test("help of evaluate and merge speaks of what they do", () => {
  const words = (command: AnyCommand) => command.helpInformation().replace(/\s+/g, " ");
  assert.match(words(evaluateCommand()), /--data <FILE> examples to measure on, [^[]*\[required\]/);
  assert.match(words(mergeCommand()), /--adapter <DIR> adapter to add [^[]*\[required\]/);
});

Deno.test("every command shows its help without any permission", async (test) => {
  for (const { name } of COMMANDS) {
    await test.step(name, async () => {
      const finished = await runCli([name, "--help"], { permissions: ["--no-prompt"] });
      assert.deepEqual([finished.code, finished.stderr], [0, ""]);
      assert.match(finished.stdout, new RegExp(`^Usage: ${name} \\[options\\]`));
    });
  }
});

Deno.test("help lists every command", async () => {
  for (const args of [["--help"], ["-h"], ["help"]]) {
    const finished = await runCli(args, { permissions: ["--no-prompt"] });
    assert.equal(finished.code, 0);
    for (const { name, summary } of COMMANDS) {
      assert.match(finished.stdout, new RegExp(`^  ${name} +${summary}$`, "m"));
    }
  }
});

Deno.test("help of a command by either word order", async () => {
  const [before, after] = [await runCli(["help", "merge"]), await runCli(["merge", "--help"])];
  assert.deepEqual(before, after);
});

Deno.test("every entry tells the one version", async () => {
  const { version } = JSON.parse(
    Deno.readTextFileSync(new URL("../../deno.json", import.meta.url)),
  );
  const ENTRIES: [args: string[], entry: "main.ts" | "train.ts"][] = [
    [["--version"], "main.ts"],
    [["-V"], "main.ts"],
    [["merge", "--version"], "main.ts"],
    [["--version"], "train.ts"],
  ];
  for (const [args, entry] of ENTRIES) {
    const finished = await runCli(args, { entry, permissions: ["--no-prompt"] });
    assert.deepEqual(finished, { code: 0, stdout: `spiel ${version}\n`, stderr: "" });
  }
});
