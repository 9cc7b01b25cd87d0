/** Where what can be made again is kept: prepared data and what was unpacked on the way to it. */

import { join } from "node:path";
import { SpielError } from "../errors.ts";

const HOME = Deno.build.os === "windows" ? "USERPROFILE" : "HOME";

/** All variables that are read. */
export const CACHE_VARIABLES = ["SPIEL_CACHE", "XDG_CACHE_HOME", HOME] as const;

/**
 * The folder of the cache: `SPIEL_CACHE`, else `spiel` in `XDG_CACHE_HOME`, else in `.cache` of the home folder.
 *
 * @param read Reads a variable; the process's own unless a test says otherwise.
 * @throws {SpielError} kind "environment" where Deno may not read a variable, or none says where.
 */
export function cacheFolder(
  read: (name: typeof CACHE_VARIABLES[number]) => string | undefined = variable,
): string {
  const own = read("SPIEL_CACHE")?.trim();
  if (own) return own;
  const shared = read("XDG_CACHE_HOME")?.trim();
  if (shared) return join(shared, "spiel");
  const home = read(HOME)?.trim();
  if (home) return join(home, ".cache", "spiel");
  throw new SpielError(
    "environment",
    `The cache of prepared data has no place, as ${HOME} is not set; set SPIEL_CACHE to a folder`,
  );
}

function variable(name: string): string | undefined {
  if (Deno.permissions.querySync({ name: "env", variable: name }).state !== "granted") {
    throw new SpielError(
      "environment",
      `The cache of prepared data is looked up by ${name} and its like; ` +
        `add --allow-env=${CACHE_VARIABLES.join(",")} to the deno command`,
    );
  }
  return Deno.env.get(name);
}
