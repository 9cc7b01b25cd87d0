/** Makes sure that this machine has what the tests need, and says what to install where it cannot. */

import { exec, execOrThrow } from "./exec.ts";
import { installPackages } from "./packages.ts";
import { readRepoFile } from "./repo.ts";

const MIN_DENO = "2.9.6";

/** Compares versions of the form 1.2.3. */
export function isAtLeast(version: string, minimum: string): boolean {
  const [have, need] = [version, minimum].map((text) => text.split(/[.-]/).map(Number));
  for (let i = 0; i < 3; i++) {
    const difference = (have?.[i] ?? 0) - (need?.[i] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}

function requireDeno(): void {
  const version = Deno.version.deno;
  if (!isAtLeast(version, MIN_DENO)) {
    throw new Error(
      `Deno is ${version}, expected at least ${MIN_DENO}: run \`npx -y deno@${MIN_DENO} task test\``,
    );
  }
}

/** Checks the Rust toolchain; one managed by rustup gets the parts that are missing. */
async function requireRust(): Promise<void> {
  const channel = /channel = "([^"]+)"/.exec(readRepoFile("rust-toolchain.toml"))?.[1] ?? "stable";
  const rustc = await exec(["rustc", "--version"]);
  const cargo = await exec(["cargo", "--version"]);
  if (rustc.code !== 0 || cargo.code !== 0) {
    throw new Error(
      `Cannot run Rust, which the native engine and its tests need: install ${channel} with ` +
        `rustup (https://rustup.rs)\n${rustc.output}${cargo.output}`.trimEnd(),
    );
  }
  const version = /^rustc (\S+)/m.exec(rustc.stdout)?.[1] ?? "unknown";
  if (!isAtLeast(version, channel)) {
    throw new Error(`Rust is ${version}, expected at least ${channel}: run \`rustup update\``);
  }
  for (const [tool, component] of [["fmt", "rustfmt"], ["clippy", "clippy"]] as const) {
    if ((await exec(["cargo", tool, "--version"])).code === 0) continue;
    if ((await exec(["rustup", "--version"])).code !== 0) {
      throw new Error(`Cannot run \`cargo ${tool}\`: install ${component} for Rust ${version}`);
    }
    console.log(`installing ${component}`);
    await execOrThrow(["rustup", "component", "add", component]);
  }
}

/** Rust links through the system's C compiler, except on Windows. */
async function requireLinker(): Promise<void> {
  if (Deno.build.os === "windows" || (await exec(["cc", "--version"])).code === 0) return;
  await installPackages(
    "a C linker, which Rust needs",
    ["gcc", "libc6-dev"],
    "on Fedora install gcc, on macOS run `xcode-select --install`",
  );
}

/** Tests that must find a GPU take a CPU that plays one where there is no other. */
async function requireGpu(): Promise<void> {
  const required = (Deno.env.get("SPIEL_REQUIRE") ?? "").split(",");
  if (Deno.build.os !== "linux" || !required.some((word) => word.endsWith(":gpu"))) return;
  if (hasVulkanDriver()) return;
  await installPackages(
    "a Vulkan driver, which SPIEL_REQUIRE asks for",
    ["libvulkan1", "mesa-vulkan-drivers"],
    "elsewhere install the Vulkan loader and the GPU's driver, or Mesa's lavapipe",
  );
}

function hasVulkanDriver(): boolean {
  return ["/etc/vulkan/icd.d", "/usr/share/vulkan/icd.d"].some((folder) => {
    try {
      return [...Deno.readDirSync(folder)].length > 0;
    } catch {
      return false;
    }
  });
}

/**
 * Checks, and where possible installs, everything that the gate runs.
 *
 * @throws Error whose message says what to install.
 */
export async function setUp(): Promise<void> {
  requireDeno();
  await requireRust();
  await requireLinker();
  await requireGpu();
}
