/** Finds a Rust toolchain that can compile for WASM. */

import { exec, execOrThrow } from "./exec.ts";

/** The target that the WASM engine is compiled for. */
export const WASM_TARGET = "wasm32-unknown-unknown";

/** How to call cargo for the WASM target. */
export interface WasmToolchain {
  readonly name: "the toolchain in use" | "Debian's packages";
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

/** The standard library is built on the way: none that is installed knows threads. An unstable feature of cargo. */
const BUILD_LIBRARY = ["-Zbuild-std=std,panic_abort"];
const ALLOW_UNSTABLE = { RUSTC_BOOTSTRAP: "1" };

/** Where the toolchain in use keeps its libraries. */
async function librariesInUse(): Promise<string | undefined> {
  const { code, stdout } = await exec(["rustc", "--print", "sysroot"]);
  return code === 0 ? `${stdout.trim()}/lib/rustlib` : undefined;
}

/** Whether the toolchain in use can at least check code for the target. */
export async function hasWasmTarget(): Promise<boolean> {
  const libraries = await librariesInUse();
  return libraries !== undefined && exists(`${libraries}/${WASM_TARGET}/lib`);
}

/** The toolchain in use, when it has the standard library's sources. */
async function toolchainInUse(): Promise<WasmToolchain | undefined> {
  const libraries = await librariesInUse();
  if (libraries === undefined || !exists(`${libraries}/src/rust/library`)) return undefined;
  return {
    name: "the toolchain in use",
    cargo: "cargo",
    args: BUILD_LIBRARY,
    env: ALLOW_UNSTABLE,
    sources: [`${libraries}/src/rust`],
  };
}

/** Debian's compiler. */
async function debianPackages(): Promise<WasmToolchain | undefined> {
  if (!exists(`${DEBIAN_SOURCES}/library`) || !exists("/usr/bin/cargo")) return undefined;
  if ((await exec(["wasm-ld-19", "--version"])).code !== 0) return undefined;
  return {
    name: "Debian's packages",
    cargo: "/usr/bin/cargo",
    args: BUILD_LIBRARY,
    env: {
      ...ALLOW_UNSTABLE,
      RUSTC: "/usr/bin/rustc",
      CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER: "wasm-ld-19",
    },
    sources: [DEBIAN_SOURCES, (await execOrThrow(["realpath", DEBIAN_SOURCES])).trim()],
  };
}

/** Finds a toolchain: the one in use when it has the sources, otherwise Debian's. */
export async function findWasmToolchain(): Promise<WasmToolchain | undefined> {
  return await toolchainInUse() ?? await debianPackages();
}
