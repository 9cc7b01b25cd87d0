/** Finds a Rust toolchain that can compile for WASM. */

import { exec, execOrThrow } from "./exec.ts";

/** The target that the WASM engine is compiled for. */
export const WASM_TARGET = "wasm32-unknown-unknown";

/** How to call cargo for the WASM target. */
export interface WasmToolchain {
  /** Where the target's standard library comes from. */
  readonly name: "the installed target" | "Debian's packages";
  readonly cargo: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Folders of the standard library's sources, whose names must not end up in the build. */
  readonly sources: readonly string[];
}

/** Debian's packages that together can compile for WASM. */
export const DEBIAN_PACKAGES: readonly string[] = [
  "cargo-web",
  "lld-19",
  "rust-web-src",
  "rustc-web",
];

/** Debian keeps the library's sources under the first name, a link to the second. */
const DEBIAN_SOURCES = "/usr/lib/rustlib/src/rust";

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** The toolchain in use, when it has the target's standard library. */
async function installedTarget(): Promise<WasmToolchain | undefined> {
  const { code, stdout } = await exec(["rustc", "--print", "sysroot"]);
  if (code !== 0) return undefined;
  const library = `${stdout.trim()}/lib/rustlib`;
  if (!exists(`${library}/${WASM_TARGET}/lib`)) return undefined;
  return {
    name: "the installed target",
    cargo: "cargo",
    args: [],
    env: {},
    sources: [`${library}/src/rust`],
  };
}

/** Debian's compiler, which builds the standard library from its sources on the way. */
async function debianPackages(): Promise<WasmToolchain | undefined> {
  if (!exists(`${DEBIAN_SOURCES}/library`) || !exists("/usr/bin/cargo")) return undefined;
  if ((await exec(["wasm-ld-19", "--version"])).code !== 0) return undefined;
  return {
    name: "Debian's packages",
    cargo: "/usr/bin/cargo",
    args: ["-Zbuild-std=std,panic_abort"],
    env: {
      // Building the standard library is an unstable feature of cargo.
      RUSTC_BOOTSTRAP: "1",
      RUSTC: "/usr/bin/rustc",
      CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER: "wasm-ld-19",
    },
    sources: [DEBIAN_SOURCES, (await execOrThrow(["realpath", DEBIAN_SOURCES])).trim()],
  };
}

/** Finds a toolchain: the one in use when it has the target, otherwise Debian's. */
export async function findWasmToolchain(): Promise<WasmToolchain | undefined> {
  return await installedTarget() ?? await debianPackages();
}
