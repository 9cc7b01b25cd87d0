/** What to grant when Deno refuses an operation. */

/**
 * The flag that grants what a refused operation needed.
 *
 * @param message Deno's words, such as `Requires read access to "a.txt", run again with the --allow-read flag`.
 */
export function missingPermission(message: string): string {
  const [, name, target] = /Requires (\w+) access(?: to "?([^"]*?)"?)?(?:,|$)/.exec(message) ?? [];
  if (name === undefined) return /--allow-[\w-]+/.exec(message)?.[0] ?? "--allow-all";
  // Asked for by the system's own folders, such as /dev and /proc; it takes no path.
  if (name === "all") return "--allow-all";
  const scoped = target !== undefined && target !== "" && !target.startsWith("<");
  return `--allow-${name}` + (scoped ? `=${target}` : "");
}
