/** Builds the committed WASM modules, without any trace of this machine, and records their digests. */

import { exec, execOrThrow } from "./exec.ts";
import { installPackages } from "./packages.ts";
import { readRepoFile, ROOT } from "./repo.ts";
import { WASM_BUILDS, type WasmBuild, writeDigest } from "./wasm_digest.ts";
import {
  DEBIAN_PACKAGES,
  findWasmToolchain,
  WASM_TARGET,
  type WasmToolchain,
} from "./wasm_toolchain.ts";

/** WASM memory may grow to all that 32-bit addresses reach, in bytes. */
const MAX_MEMORY = 2 ** 32;

/** Threads share the memory; each has thread-local variables, which wasm-bindgen sets up. */
const LINKER_ARGUMENTS = [
  ...["--shared-memory", "--import-memory", `--max-memory=${MAX_MEMORY}`],
  ...["__wasm_init_tls", "__tls_size", "__tls_align", "__tls_base"].map((name) =>
    `--export=${name}`
  ),
];

/** A folder of its own: host and WASM builds differ in compiler and flags. */
const TARGET_DIR = `${ROOT}/target/wasm`;

const CARGO_HOME = Deno.env.get("CARGO_HOME") ?? `${Deno.env.get("HOME")}/.cargo`;

/** Finds the toolchain, installing Debian's packages when there is none and that is allowed. */
async function requireToolchain(): Promise<WasmToolchain> {
  const present = await findWasmToolchain();
  if (present !== undefined) return present;
  await installPackages(
    "a Rust toolchain for WASM",
    DEBIAN_PACKAGES,
    "elsewhere run `rustup component add rust-src`",
  );
  const installed = await findWasmToolchain();
  if (installed === undefined) {
    throw new Error(`${DEBIAN_PACKAGES.join(" ")} cannot build for WASM`);
  }
  return installed;
}

/** Folders whose names the compiler would embed in panic messages, and what stands for them. */
function remappedPaths(toolchain: WasmToolchain): [from: string, to: string][] {
  const registry = `${CARGO_HOME}/registry/src`;
  return [
    [CARGO_HOME, "cargo"],
    ...[...Deno.readDirSync(registry)].map((
      { name },
    ): [string, string] => [`${registry}/${name}`, "crates"]),
    ...toolchain.sources.map((folder): [string, string] => [folder, "rust"]),
    [ROOT, "spiel"],
  ];
}

/** Compiles the engine's crate and returns the path of the raw module. */
async function compile(toolchain: WasmToolchain, features: string): Promise<string> {
  const { cargo, args, env } = toolchain;
  await execOrThrow([cargo, "fetch", "--locked"], { env });
  const flags = [
    ...["-C", "target-feature=+simd128,+relaxed-simd,+atomics,+bulk-memory,+mutable-globals"],
    ...LINKER_ARGUMENTS.flatMap((argument) => ["-C", `link-arg=${argument}`]),
    ...remappedPaths(toolchain).map(([from, to]) => `--remap-path-prefix=${from}=${to}`),
  ];
  await execOrThrow([
    ...[cargo, "build", "--release", "--locked", "--package", "spiel-engine", "--lib"],
    ...["--no-default-features", "--features", features, "--target", WASM_TARGET],
    ...["--target-dir", TARGET_DIR, ...args],
  ], { env: { ...env, CARGO_ENCODED_RUSTFLAGS: flags.join("\x1f") } });
  return `${TARGET_DIR}/${WASM_TARGET}/release/spiel_engine.wasm`;
}

/** Finds wasm-bindgen in exactly the version of the crate, or installs it under `target/`. */
async function requireBindgen(): Promise<string> {
  const version = /name = "wasm-bindgen"\nversion = "([^"]+)"/.exec(readRepoFile("Cargo.lock"))
    ?.[1];
  if (version === undefined) throw new Error("Cargo.lock names no version of wasm-bindgen");
  const own = `${ROOT}/target/tools/bin/wasm-bindgen`;
  for (const program of ["wasm-bindgen", own]) {
    const { code, stdout } = await exec([program, "--version"]);
    if (code === 0 && stdout.trim().split(" ")[1] === version) return program;
  }
  console.log(`installing wasm-bindgen ${version} under target/tools`);
  await execOrThrow([
    ...["cargo", "install", "wasm-bindgen-cli", "--version", version],
    ...["--root", `${ROOT}/target/tools`],
  ]);
  return own;
}

/** Refuses a build that names a folder of this machine. */
function checkAnonymous(file: string, toolchain: WasmToolchain): void {
  const text = new TextDecoder("latin1").decode(Deno.readFileSync(file));
  const own = remappedPaths(toolchain).map(([from]) => from);
  for (const path of [...own, "/home/", "/root/", "/Users/", "/usr/src/", "registry/src"]) {
    const at = text.indexOf(path);
    if (at < 0) continue;
    throw new Error(`${file} holds a path of this machine: "${text.slice(at, at + 120)}"`);
  }
}

async function build(toolchain: WasmToolchain, wasm: WasmBuild): Promise<void> {
  const module = await compile(toolchain, wasm.features);
  const bindgen = await requireBindgen();
  const folder = `${ROOT}/${wasm.folder}`;
  await Deno.mkdir(folder, { recursive: true });
  for await (const { name } of Deno.readDir(folder)) await Deno.remove(`${folder}/${name}`);
  await execOrThrow([
    ...[bindgen, "--target", "module", "--out-dir", folder, "--out-name", wasm.name, module],
  ]);
  const built = `${folder}/${wasm.name}_bg.wasm`;
  checkAnonymous(built, toolchain);
  writeDigest(wasm);
  const { size } = await Deno.stat(built);
  console.log(`wrote ${wasm.folder}/${wasm.name}_bg.wasm, ${(size / 1024).toFixed(0)} KiB`);
}

if (import.meta.main) {
  try {
    const toolchain = await requireToolchain();
    console.log(`compiling with ${toolchain.name}`);
    for (const wasm of WASM_BUILDS) await build(toolchain, wasm);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
}
