/** All commands as subcommands: `main.ts COMMAND [options]`. */

import { SpielError } from "../mod.ts";
import { COMMANDS } from "./commands/mod.ts";
import { runToExit } from "./exit.ts";
import { standardError, standardOutput } from "./streams.ts";

function help(): string {
  const width = Math.max(...COMMANDS.map(({ name }) => name.length));
  const rows = COMMANDS.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`);
  return [
    "Usage: main.ts COMMAND [options]",
    "",
    "Fine-tunes language models through sparse deltas.",
    "",
    "Commands:",
    ...rows,
    "",
    "COMMAND --help tells a command's options, --version the program's version.",
    "",
  ].join("\n");
}

/** Runs the command that the arguments name. */
export async function main(args: readonly string[]): Promise<void> {
  const [name, ...rest] = args;
  if (name === undefined) {
    standardError.write(`${help()}\n`);
    throw new SpielError("usage", "COMMAND is missing");
  }
  if (name === "help" && rest[0] !== undefined) return await main([rest[0], "--help"]);
  if (["--help", "-h", "help"].includes(name)) return standardOutput.write(help());
  if (["--version", "-V"].includes(name)) {
    const { VERSION_TEXT } = await import("./flags.ts");
    return standardOutput.write(`${VERSION_TEXT}\n`);
  }
  const entry = COMMANDS.find((command) => command.name === name);
  if (entry === undefined) {
    const { unknownName } = await import("./flags.ts");
    throw unknownName(name, "a command", COMMANDS.map((command) => command.name));
  }
  const run = await entry.load();
  await run(rest);
}

if (import.meta.main) await runToExit(() => main(Deno.args));
