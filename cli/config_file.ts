/** Reads configuration files: JSON by the name `.json`, a run's own record among them, and else YAML. */

import { type ConfigEntry, SpielError } from "../mod.ts";
import { parseJsonConfig } from "./json_config.ts";

/**
 * Reads a configuration file.
 *
 * @returns One entry per key, in the order of the file.
 * @throws {SpielError} `usage`, with line and column, when it is not an object of keys and values; `environment` when
 * Deno may not look at the variables that the YAML reader wants.
 */
export async function readConfigFile(path: string): Promise<ConfigEntry[]> {
  const text = readText(path);
  if (/\.json$/i.test(path)) return parseJsonConfig(text, path);
  requireVariables(path);
  // Most of the start-up, for those who have YAML.
  const { parseYamlConfig } = await import("./yaml_config.ts");
  return parseYamlConfig(text, path);
}

function readText(path: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Deno.readFileSync(path));
  } catch (cause) {
    if (cause instanceof Deno.errors.NotCapable) throw cause;
    const reason = cause instanceof Deno.errors.IsADirectory
      ? `is a folder; a run's is "${path.replace(/[\\/]+$/, "")}/config.json"`
      : cause instanceof Deno.errors.NotFound
      ? "does not exist"
      : cause instanceof TypeError
      ? "is not UTF-8 text"
      : `cannot be read (${cause instanceof Error ? cause.message : cause})`;
    throw new SpielError("usage", `Configuration file "${path}" ${reason}`, { cause });
  }
}

/** What the YAML reader looks at, whatever is asked of it. */
const YAML_VARIABLES = ["LOG_TOKENS", "LOG_STREAM"];

/** Names all that the YAML reader needs at once; without, it fails at the first variable. */
function requireVariables(path: string): void {
  const isGranted = (variable: string) =>
    Deno.permissions.querySync({ name: "env", variable }).state === "granted";
  if (YAML_VARIABLES.every(isGranted)) return;
  throw new SpielError(
    "environment",
    `Reading "${path}" takes --allow-env=${
      YAML_VARIABLES.join(",")
    }, which its YAML reader looks at; a .json file does not`,
  );
}
