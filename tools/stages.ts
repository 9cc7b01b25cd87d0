/** The gate as a table: what is checked, in which order, and what a stage needs of those before it. */

import { checkDocs } from "./check_docs.ts";
import { checkImports } from "./check_imports.ts";
import { checkOperations } from "./check_operations.ts";
import { checkSize } from "./check_size.ts";
import { cargoCounts, type Counts, denoCounts } from "./counts.ts";
import { checkProtocol } from "./gen_protocol.ts";
import { repoFiles } from "./repo.ts";
import { checkDigests } from "./wasm_digest.ts";
import { hasWasmTarget, WASM_TARGET } from "./wasm_toolchain.ts";

/** One step of the gate: a command, or a check inside this process. */
export interface Stage {
  readonly name: string;
  /** Stages without whose success this one says nothing. */
  readonly needs?: readonly string[];
  /** The program and its arguments, or how they are found out. */
  readonly command?: readonly string[] | (() => Promise<readonly string[]>);
  /** Returns one sentence per problem. */
  readonly check?: () => readonly string[] | Promise<readonly string[]>;
  /** Reads the numbers of tests out of the command's output. */
  readonly counts?: (output: string) => Counts | undefined;
  /** Says why this machine cannot run the stage, or undefined when it can. */
  readonly unavailable?: () => Promise<string | undefined>;
}

const deno = (...args: readonly string[]): readonly string[] => [Deno.execPath(), ...args];

const clippy = (...args: readonly string[]): readonly string[] => [
  ...["cargo", "clippy", "--locked", ...args],
  ...["--", "--deny", "warnings"],
];

/**
 * A folder of tests. Device files such as a full disk's open only with all permissions; tests of the
 * documented permissions start processes of their own.
 */
const denoTest = (folder: string): readonly string[] =>
  deno("test", "--no-prompt", "--frozen", "--no-check", "--allow-all", `tests/${folder}/`);

const WASM_ENGINE = [
  ...["--package", "spiel-engine", "--lib"],
  ...["--no-default-features", "--features", "wasm,conformance"],
];

/** The GPU, and the design figures of docs/kernels.md, which need wgpu's backend that does nothing in the same build. */
const GPU_TESTS = "design";

/** The GPU's crates take minutes to build at first, so only machines that must test a GPU build them. */
const needsGpu = (): Promise<string | undefined> => {
  const required = (Deno.env.get("SPIEL_REQUIRE") ?? "").split(",");
  return Promise.resolve(
    required.includes("native:gpu") ? undefined : "SPIEL_REQUIRE does not name native:gpu",
  );
};

/** For its target where the toolchain that has Clippy has it, else the same features on this machine's. */
async function wasmClippy(): Promise<readonly string[]> {
  return clippy(...WASM_ENGINE, ...(await hasWasmTarget() ? ["--target", WASM_TARGET] : []));
}

/** Every stage, cheap ones first. */
export const STAGES: readonly Stage[] = [
  { name: "format", command: deno("fmt", "--check") },
  { name: "lint", command: deno("lint") },
  {
    name: "no console in the library",
    command: deno(
      "lint",
      "--rules-tags=recommended",
      "--rules-include=no-console",
      "mod.ts",
      "src/",
    ),
  },
  { name: "types", command: deno("check", "--frozen") },
  { name: "imports", check: checkImports },
  { name: "sizes", check: checkSize },
  { name: "documents", check: () => [...checkDocs(), ...checkOperations()] },
  { name: "public documentation", command: deno("doc", "--lint", "mod.ts") },
  { name: "wasm builds are current", check: checkDigests },
  {
    // By files, as cargo does not find the modules that a macro declares.
    name: "rust format",
    command: ["rustfmt", "--edition", "2024", "--check", "-l", ...repoFiles(".rs")],
  },
  {
    name: "clippy",
    command: clippy("--workspace", "--all-targets", "--features", "spiel-engine/gen"),
  },
  { name: "clippy, wasm", command: wasmClippy },
  {
    name: "clippy, gpu",
    unavailable: needsGpu,
    command: clippy("--package", "spiel-engine", "--all-targets", "--features", GPU_TESTS),
  },
  { name: "generated files", check: checkProtocol },
  {
    name: "rust tests",
    command: ["cargo", "test", "--locked", "--workspace", "--no-fail-fast"],
    counts: cargoCounts,
  },
  {
    name: "rust tests, gpu",
    unavailable: needsGpu,
    command: ["cargo", "test", "--locked", "--package", "spiel-engine", "--features", GPU_TESTS],
    counts: cargoCounts,
  },
  { name: "native build", command: deno("task", "build") },
  { name: "native gpu build", unavailable: needsGpu, command: deno("task", "build:gpu") },
  { name: "unit", needs: ["types"], command: denoTest("unit"), counts: denoCounts },
  { name: "bad files", needs: ["types"], command: denoTest("bad_files"), counts: denoCounts },
  {
    name: "engine",
    needs: ["types", "native build"],
    command: denoTest("engine"),
    counts: denoCounts,
  },
  {
    name: "cli",
    needs: ["types", "native build"],
    command: denoTest("cli"),
    counts: denoCounts,
  },
  {
    name: "reliability",
    needs: ["types", "native build"],
    command: denoTest("reliability"),
    counts: denoCounts,
  },
];
