/** Where the native library is looked for, and what is said when it is not there. */

import assert from "node:assert/strict";
import { findNativeLibrary } from "../../../src/engine/native_library.ts";
import { openNative } from "../../../src/engine/native.ts";
import { open } from "../../../src/engine/open.ts";
import { withTempDir } from "../../support/temp_dir.ts";

const LIBRARY_MODULE = new URL("../../../src/engine/native_library.ts", import.meta.url).href;

/** What `findNativeLibrary` returns in a process with these permissions and variables. */
async function foundUnder(permissions: string[], env: Record<string, string>): Promise<unknown> {
  const program = `import { findNativeLibrary } from ${JSON.stringify(LIBRARY_MODULE)};
console.log(JSON.stringify(findNativeLibrary()));`;
  const path = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(path, program);
    const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--no-check", "--no-lock", ...permissions, path],
      env: { NO_COLOR: "1", ...env },
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    return JSON.parse(new TextDecoder().decode(stdout));
  } finally {
    await Deno.remove(path);
  }
}

Deno.test("native library: the option wins over the environment", async () => {
  await withTempDir((dir) => {
    const path = `${dir}/libspiel_engine.so`;
    Deno.writeTextFileSync(path, "");
    assert.deepEqual(findNativeLibrary(path), { path });
  });
});

Deno.test("native library: SPIEL_NATIVE_LIB is read only where that is permitted", async () => {
  const env = { SPIEL_NATIVE_LIB: "/nowhere/lib.so" };
  assert.deepEqual(await foundUnder(["--allow-env", "--allow-ffi"], env), {
    path: "/nowhere/lib.so",
  });
  const other = await foundUnder(["--allow-ffi"], env) as { path: string };
  assert.match(other.path, /target\/release\/.*spiel_engine\./);
});

Deno.test("native library: without FFI the reason is the flag to add", async () => {
  const found = await foundUnder(["--allow-env"], { SPIEL_NATIVE_LIB: "/nowhere/lib.so" });
  assert.deepEqual(found, { missing: "FFI is not permitted (--allow-ffi=/nowhere/lib.so)" });
});

Deno.test("native library: a missing file says how to build it", async () => {
  await withTempDir(async (dir) => {
    const path = `${dir}/lib.so`;
    const missing = new RegExp(
      `no native library at ${path}; to have one, run "npx -y deno@2.9.6 task build"`,
    );
    assert.match((findNativeLibrary(path) as { missing: string }).missing, missing);
    await assert.rejects(() => open({ host: "native", nativeLibrary: path }), {
      name: "SpielError",
      kind: "environment",
      message: missing,
    });
    // A library that was named is an explicit choice too.
    await assert.rejects(() => open({ nativeLibrary: path }), { kind: "environment" });
  });
});

Deno.test("native library: a file that is no library is refused with what to do", async () => {
  await withTempDir((dir) => {
    const path = `${dir}/lib.so`;
    Deno.writeTextFileSync(path, "not a library");
    assert.throws(() => openNative(path), {
      kind: "environment",
      message: /cannot be loaded .*run "npx -y deno@2.9.6 task build"/s,
    });
  });
});
