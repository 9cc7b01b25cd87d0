/** A folder for the cache of prepared data, in the place of the user's. */
import { withTempDir } from "./temp_dir.ts";

/** Runs a test in a folder that `SPIEL_CACHE` names, and takes both away again. */
export function withCache(test: (folder: string) => Promise<void>): Promise<void> {
  return withTempDir(async (folder) => {
    const before = Deno.env.get("SPIEL_CACHE");
    Deno.env.set("SPIEL_CACHE", folder);
    try {
      await test(folder);
    } finally {
      if (before === undefined) Deno.env.delete("SPIEL_CACHE");
      else Deno.env.set("SPIEL_CACHE", before);
    }
  });
}
