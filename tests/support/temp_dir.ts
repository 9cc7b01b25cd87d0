/** A temporary folder for the length of one test. */

// In memory where the system offers it: the fault loops sync thousands of files.
const ROOT = await Deno.stat("/dev/shm").then(() => "/dev/shm", () => undefined);

/** A new empty folder; all of them lie on one file system. */
export function makeTempDir(): string {
  return Deno.makeTempDirSync({ prefix: "spiel-test-", ...(ROOT && { dir: ROOT }) });
}

/** Runs `use` with a new empty folder and removes it afterwards. */
export async function withTempDir<T>(use: (dir: string) => Promise<T> | T): Promise<T> {
  const dir = makeTempDir();
  try {
    return await use(dir);
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}
