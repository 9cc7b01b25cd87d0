/** What `JSON.parse` lets through and a file must not contain: repeated keys, odd numbers, depth. */

/** How deep the objects and lists of a data record may lie in one another; what is learnt from needs far less. */
export const MAX_LEVELS = 100;

/**
 * Looks for a reason to distrust a header that `JSON.parse` accepts.
 *
 * @param text Valid JSON.
 * @param maxDepth The deepest nesting of objects and arrays allowed.
 * @returns A clause for an error message, or null when there is nothing to object to.
 */
export function headerObjection(text: string, maxDepth: number): string | null {
  let depth = 0;
  const lexeme = /["{}[\]]|-?\d[\d.eE+-]*/g;
  for (let match; (match = lexeme.exec(text)) !== null;) {
    const [token] = match;
    const first = token[0];
    if (first === '"') {
      // A pattern for whole strings remembers every escape in them, which takes too much of a long one.
      lexeme.lastIndex = endOfString(text, match.index);
    } else if (first === "{" || first === "[") {
      if (++depth > maxDepth) return `it nests deeper than ${maxDepth} levels`;
    } else if (first === "}" || first === "]") {
      depth--;
    } else if (!/^\d+$/.test(token)) {
      return `the number ${token} is not a plain non-negative integer`;
    }
  }
  const key = repeatedKey(text);
  return key === null ? null : `the key ${key} occurs twice`;
}

/**
 * Looks for a key that an object has twice, of which `JSON.parse` silently drops one.
 *
 * @param text Valid JSON.
 * @returns The first such key as JSON, or null.
 */
export function repeatedKey(text: string): string | null {
  // One entry per open bracket: the keys so far for an object, null for an array.
  const open: (Set<string> | null)[] = [];
  for (let at = 0; at < text.length; at++) {
    switch (text[at]) {
      case "{":
        open.push(new Set());
        break;
      case "[":
        open.push(null);
        break;
      case "}":
      case "]":
        open.pop();
        break;
      case '"': {
        const end = endOfString(text, at);
        const keys = open.at(-1);
        if (keys && isFollowedByColon(text, end)) {
          const key = JSON.parse(text.slice(at, end)) as string;
          if (keys.has(key)) return JSON.stringify(key);
          keys.add(key);
        }
        at = end - 1;
      }
    }
  }
  return null;
}

/**
 * Whether objects and arrays lie in one another more than `levels` deep: what walks them level by level, as
 * `JSON.stringify` does, has only so much stack.
 *
 * @param text Valid JSON.
 */
export function nestsDeeper(text: string, levels: number): boolean {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    switch (text[at]) {
      case "{":
      case "[":
        if (++depth > levels) return true;
        break;
      case "}":
      case "]":
        depth--;
        break;
      case '"':
        at = endOfString(text, at) - 1;
    }
  }
  return false;
}

/** The position behind the string that begins at `start`. */
function endOfString(text: string, start: number): number {
  for (let quote = start + 1;; quote++) {
    quote = text.indexOf('"', quote);
    let before = quote;
    while (text[before - 1] === "\\") before--;
    if ((quote - before) % 2 === 0) return quote + 1;
  }
}

function isFollowedByColon(text: string, at: number): boolean {
  while (/\s/.test(text[at] ?? "")) at++;
  return text[at] === ":";
}
