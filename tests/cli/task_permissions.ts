/** What the tasks of `deno.json` permit. */

const { tasks } = JSON.parse(
  Deno.readTextFileSync(new URL("../../deno.json", import.meta.url)),
) as { tasks: Record<string, { command: string }> };

/** Deno's flags in a task, and what it runs with them. */
export function partsOf(name: string): { permissions: string[]; program: string } {
  const words = tasks[name]?.command.split(" ") ?? [];
  const program = words.findIndex((word) => word.startsWith("cli/"));
  return { permissions: words.slice(2, program), program: words.slice(program).join(" ") };
}

/** Deno's flags in the task of a command. */
export function permissionsOf(name: string): string[] {
  return partsOf(name).permissions;
}
