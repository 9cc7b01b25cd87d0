/** A temporary folder for the length of one test. */

/** Runs `use` with a new empty folder and removes it afterwards. */
export async function withTempDir<T>(use: (dir: string) => Promise<T>): Promise<T> {
  const dir = Deno.makeTempDirSync({ prefix: "spiel-test-" });
  try {
    return await use(dir);
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}
