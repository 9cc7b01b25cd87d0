/** Ties the committed WASM builds to the Rust sources: the `digest.json` beside each holds the digests of both. */

import { createHash } from "node:crypto";
import { exitWith, readRepoFile, repoFiles, ROOT } from "./repo.ts";

const DIGEST = "digest.json";

/** One WASM module that is committed. */
export interface WasmBuild {
  readonly folder: string;
  /** Features of the engine's crate. */
  readonly features: string;
  /** What its files' names begin with. */
  readonly name: string;
}

/** The engine, and the suite of its GPU device against its CPU device, which tests run. */
export const WASM_BUILDS: readonly WasmBuild[] = [
  { folder: "lib", features: "wasm,gpu", name: "spiel_engine" },
  { folder: "tests/conformance", features: "wasm,conformance", name: "spiel_conformance" },
];

/** What a build's digest records. */
interface Digest {
  /** SHA-256 over the paths and texts of every file that the build depends on. */
  readonly sources: string;
  /** SHA-256 of each file of the build. */
  readonly files: Readonly<Record<string, string>>;
}

/** Manifests and sources of the crates. Tests and benchmarks are not part of the build. */
function sourceFiles(): string[] {
  return repoFiles(".rs", ".toml", ".wgsl", "Cargo.lock").filter((path) =>
    path === "Cargo.toml" || path === "Cargo.lock" ||
    (path.startsWith("crates/") && !/^crates\/[^/]+\/(tests|benches)\//.test(path))
  );
}

/** Digests files by path and length, so that text cannot move between files unseen. */
function digestSources(): string {
  const hash = createHash("sha256");
  for (const path of sourceFiles()) {
    const text = readRepoFile(path).replaceAll("\r\n", "\n");
    hash.update(`${path}\0${text.length}\0${text}`);
  }
  return hash.digest("hex");
}

/** Digests every file of a build except the record itself. */
function digestBuild(folder: string): Record<string, string> {
  const names = [...Deno.readDirSync(`${ROOT}/${folder}`)].map(({ name }) => name).sort();
  return Object.fromEntries(
    names.filter((name) => name !== DIGEST).map((name) => [
      name,
      createHash("sha256").update(Deno.readFileSync(`${ROOT}/${folder}/${name}`)).digest("hex"),
    ]),
  );
}

/** Records the present sources and a build. */
export function writeDigest({ folder }: WasmBuild): void {
  const digest: Digest = { sources: digestSources(), files: digestBuild(folder) };
  Deno.writeTextFileSync(`${ROOT}/${folder}/${DIGEST}`, JSON.stringify(digest, null, 2) + "\n");
}

/** Checks that every committed build is the recorded one and was made from the present sources. */
export function checkDigests(): string[] {
  return WASM_BUILDS.flatMap(checkDigest);
}

function checkDigest({ folder }: WasmBuild): string[] {
  let recorded: Digest;
  try {
    recorded = JSON.parse(readRepoFile(`${folder}/${DIGEST}`)) as Digest;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return [`${folder}/${DIGEST}: missing; run \`deno task build:wasm\``];
  }
  const problems: string[] = [];
  if (recorded.sources !== digestSources()) {
    problems.push(`${folder}/: built from other Rust sources; run \`deno task build:wasm\``);
  }
  const build = digestBuild(folder);
  for (const name of new Set([...Object.keys(recorded.files), ...Object.keys(build)])) {
    if (recorded.files[name] !== build[name]) {
      problems.push(
        `${folder}/${name}: differs from the recorded build; run \`deno task build:wasm\``,
      );
    }
  }
  return problems;
}

if (import.meta.main) {
  exitWith(checkDigests(), "the WASM builds were made from the present sources");
}
