/** What to grant when Deno refuses an operation. */

/**
 * The flag that grants what a refused operation needed.
 *
 * @param message Deno's words, such as `Requires read access to "a.txt", run again with the --allow-read flag`.
 */
export function missingPermission(message: string): string {
  const [, name, target] = /Requires (\w+) access(?: to "?([^"]*?)"?)?(?:,|$)/.exec(message) ?? [];
  if (name === undefined) return /--allow-[\w-]+/.exec(message)?.[0] ?? "--allow-all";
  const scoped = target !== undefined && target !== "" && !target.startsWith("<");
  return `--allow-${name}` + (scoped ? `=${target}` : "");
}
