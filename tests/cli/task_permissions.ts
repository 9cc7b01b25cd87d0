/** What the tasks of `deno.json` permit. */

const { tasks } = JSON.parse(
  Deno.readTextFileSync(new URL("../../deno.json", import.meta.url)),
) as { tasks: Record<string, { command: string }> };

/** Deno's flags in a task, those for V8 apart, and what it runs with them. */
export function partsOf(name: string): { permissions: string[]; v8: string[]; program: string } {
  const words = tasks[name]?.command.split(" ") ?? [];
  const program = words.findIndex((word) => word.startsWith("cli/"));
  const flags = words.slice(2, program);
  return {
    permissions: flags.filter((flag) => !isForV8(flag)),
    v8: flags.filter(isForV8),
    program: words.slice(program).join(" "),
  };
}

function isForV8(flag: string): boolean {
  return flag.startsWith("--v8-flags=");
}

/** Deno's flags in the task of a command. */
export function permissionsOf(name: string): string[] {
  return partsOf(name).permissions;
}
