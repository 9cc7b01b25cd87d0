/** What `JSON.parse` lets through and a file header must not contain: duplicate keys, odd numbers, depth. */

/**
 * Looks for a reason to distrust a header that `JSON.parse` accepts.
 *
 * @param text Valid JSON.
 * @param maxDepth The deepest nesting of objects and arrays allowed.
 * @returns A clause for an error message, or null when there is nothing to object to.
 */
export function headerObjection(text: string, maxDepth: number): string | null {
  // One entry per open bracket: the keys so far for an object, null for an array.
  const open: (Set<string> | null)[] = [];
  const lexeme = /"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?|[{}[\]]|-?\d[\d.eE+-]*/g;
  for (const match of text.matchAll(lexeme)) {
    const token = match[0];
    const first = token[0];
    if (first === "{" || first === "[") {
      open.push(first === "{" ? new Set() : null);
      if (open.length > maxDepth) return `it nests deeper than ${maxDepth} levels`;
    } else if (first === "}" || first === "]") {
      open.pop();
    } else if (first !== '"') {
      if (!/^\d+$/.test(token)) return `the number ${token} is not a plain non-negative integer`;
    } else if (match[1] !== undefined) {
      const key = JSON.parse(token.slice(0, token.length - match[1].length)) as string;
      const keys = open.at(-1);
      if (keys?.has(key)) return `the key "${key}" occurs twice`;
      keys?.add(key);
    }
  }
  return null;
}
