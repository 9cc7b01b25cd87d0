/** What becomes of JSON that is read and written again, beyond white space. */

/** JSON in one line. Breaks can only stand between its parts. */
export function inOneLine(json: string): string {
  return json.trim().replaceAll(/\s*[\r\n]\s*/g, " ");
}

/** Numbers as they stand in JSON that are written otherwise once they were read, and how; each once. */
export function changedNumbers(json: string): Map<string, string> {
  const changed = new Map<string, string>();
  // The compiler's types do not know the third argument yet.
  const look = (_key: string, value: unknown, { source }: { source?: string } = {}) => {
    if (typeof value === "number" && source !== undefined) {
      const written = JSON.stringify(value);
      if (written !== source) changed.set(source, written);
    }
    return value;
  };
  JSON.parse(json, look as (key: string, value: unknown) => unknown);
  return changed;
}
