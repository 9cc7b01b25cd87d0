/** Finds the native library: by option, by SPIEL_NATIVE_LIB, or in the clone's build folder. Never prompts. */

/** What to do when the library is missing or stale. */
export const BUILD_REMEDY = 'run "npx -y deno@2.9.6 task build"';

const FILE_NAMES: Partial<Record<typeof Deno.build.os, string>> = {
  windows: "spiel_engine.dll",
  darwin: "libspiel_engine.dylib",
};

/** The library's file name on this system. */
const FILE_NAME = FILE_NAMES[Deno.build.os] ?? "libspiel_engine.so";

/**
 * Finds the library, asking which permissions are granted but for none.
 *
 * @param option A path given by the caller; it wins over `SPIEL_NATIVE_LIB` and the clone's build folder.
 * @returns The path, or the reason why there is none to use.
 */
export function findNativeLibrary(option?: string): { path: string } | { missing: string } {
  const path = option ?? environmentVariable("SPIEL_NATIVE_LIB") ?? buildFolderLibrary();
  if (path === undefined) return { missing: "a module from a URL has no build folder" };
  if (Deno.permissions.querySync({ name: "ffi", path }).state !== "granted") {
    return { missing: `FFI is not permitted (--allow-ffi=${path})` };
  }
  if (Deno.permissions.querySync({ name: "read", path }).state === "granted" && !exists(path)) {
    return { missing: `there is no native library at ${path}; to have one, ${BUILD_REMEDY}` };
  }
  return { path };
}

function environmentVariable(name: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable: name });
  return state === "granted" ? Deno.env.get(name) || undefined : undefined;
}

function buildFolderLibrary(): string | undefined {
  const url = new URL(`../../target/release/${FILE_NAME}`, import.meta.url);
  if (url.protocol !== "file:") return undefined;
  const path = decodeURIComponent(url.pathname);
  return Deno.build.os === "windows" ? path.slice(1) : path;
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
