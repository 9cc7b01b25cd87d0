/** All commands as subcommands: `main.ts COMMAND [options]`. */

import { COMMANDS } from "./commands/mod.ts";
import { runToExit } from "./exit.ts";

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
    "COMMAND --help tells a command's options.",
  ].join("\n");
}

/** Runs the command that the arguments name. */
export async function main(args: readonly string[]): Promise<void> {
  const [name, ...rest] = args;
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    console.log(help());
    return;
  }
  const entry = COMMANDS.find((command) => command.name === name);
  if (entry === undefined) {
    const { unknownCommand } = await import("./flags.ts");
    throw unknownCommand(name, COMMANDS.map((command) => command.name));
  }
  const run = await entry.load();
  await run(rest);
}

if (import.meta.main) await runToExit(() => main(Deno.args));
