/** JSON text that depends on values alone: keys sorted, two spaces of indentation. */

/**
 * @param value anything that JSON holds; non-finite numbers are the caller's mistake.
 * @returns the text without a final line break.
 */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(sorted(value), null, 2);
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const keys = Object.keys(value).sort();
  return Object.fromEntries(
    keys.map((key) => [key, sorted((value as Record<string, unknown>)[key])]),
  );
}
