/** Writes `docs/configuration.md` and `docs/run_config.schema.json` from the configuration's one schema. */

import { type ConfigKeyHelp, configKeyHelp, runConfigJsonSchema } from "../mod.ts";

const INTRODUCTION = `# Configuration of a run

Every key can be given in a YAML file, or a JSON file whose name ends in \`.json\`
(\`--config run.yaml\`), as \`--set key=value\`, or as a flag. A flag wins over \`--set\`, and that over a
file; of several files, the last one. Keys that are not known are refused wherever they stand; of
values, those that win are checked, so that a flag may replace what is wrong in a file. A list of
one, or one in a line (\`q_proj,v_proj\`, \`[q_proj, v_proj]\`), may be given as text everywhere. In
code, \`runConfig\` takes the same keys in camelCase. The run folder's \`config.json\` records each
value and where it came from, and can be given to \`--config\` as it is.

Generated from \`src/train/run_config/schema.ts\` by \`tools/gen_config_reference.ts\`. Editors check
and complete YAML files whose first line is
\`# yaml-language-server: $schema=docs/run_config.schema.json\`, and JSON files with the key
\`"$schema": "docs/run_config.schema.json"\`.
`;

/** A Markdown table as the formatter leaves it. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((name, column) =>
    Math.max(name.length, ...rows.map((row) => row[column]?.length ?? 0))
  );
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}

function rowOf(help: ConfigKeyHelp): string[] {
  const text = (words: string) => words.replaceAll("|", "\\|");
  return [
    `\`${help.key}\``,
    text(help.description),
    text(help.expected),
    help.defaultText === undefined ? "" : text(help.defaultText),
  ];
}

/** The reference in Markdown. */
export function configReference(): string {
  const keys = [...configKeyHelp().values()];
  const groups = [...new Set(keys.map(({ group }) => group))];
  const sections = groups.map((group) => {
    const rows = keys.filter((help) => help.group === group).map(rowOf);
    return `## ${group}\n\n${table(["Key", "Meaning", "Value", "Default"], rows)}\n`;
  });
  return [INTRODUCTION, ...sections].join("\n");
}

/** The JSON Schema as text. */
export function configSchemaText(): string {
  return `${JSON.stringify(runConfigJsonSchema(), null, 2)}\n`;
}

/** The generated files and what they hold. */
export const GENERATED: Readonly<Record<string, () => string>> = {
  "docs/configuration.md": configReference,
  "docs/run_config.schema.json": configSchemaText,
};

if (import.meta.main) {
  for (const [path, content] of Object.entries(GENERATED)) {
    Deno.writeTextFileSync(new URL(`../${path}`, import.meta.url), content());
  }
}
