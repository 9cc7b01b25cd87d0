/** Patterns of file names, as in `data/train-*.parquet`. */

/** A pattern as a regular expression: `*` and `?` stay in a folder, `**` does not, `{a,b}` and `[ab]` choose. */
export function globPattern(pattern: string): RegExp {
  let depth = 0;
  const source = pattern.replaceAll(
    /\*\*\/?|\*|\?|\[!?[^\]/]+\]|[{},]|[.+^$()|[\]\\]/g,
    (found) => {
      if (found.startsWith("**")) return found.endsWith("/") ? "(?:.*/)?" : ".*";
      if (found === "*") return "[^/]*";
      if (found === "?") return "[^/]";
      if (found.length > 1) return found.replace("[!", "[^").replaceAll("\\", "\\\\");
      if (found === "{") return (depth++, "(?:");
      if (found === "}" && depth > 0) return (depth--, ")");
      if (found === ",") return depth > 0 ? "|" : ",";
      return `\\${found}`;
    },
  );
  return new RegExp(`^${source}${")".repeat(depth)}$`);
}
