/** Ties the committed WASM build to the Rust sources: `lib/digest.json` holds the digests of both. */

import { createHash } from "node:crypto";
import { exitWith, readRepoFile, repoFiles, ROOT } from "./repo.ts";

const DIGEST = "lib/digest.json";

/** What `lib/digest.json` records. */
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

/** Digests every file of the build except the record itself. */
function digestBuild(): Record<string, string> {
  const names = [...Deno.readDirSync(`${ROOT}/lib`)].map(({ name }) => name).sort();
  return Object.fromEntries(
    names.filter((name) => `lib/${name}` !== DIGEST).map((name) => [
      name,
      createHash("sha256").update(Deno.readFileSync(`${ROOT}/lib/${name}`)).digest("hex"),
    ]),
  );
}

/** Records the present sources and build. */
export function writeDigest(): void {
  const digest: Digest = { sources: digestSources(), files: digestBuild() };
  Deno.writeTextFileSync(`${ROOT}/${DIGEST}`, JSON.stringify(digest, null, 2) + "\n");
}

/** Checks that the committed build is the recorded one and was made from the present sources. */
export function checkDigest(): string[] {
  let recorded: Digest;
  try {
    recorded = JSON.parse(readRepoFile(DIGEST)) as Digest;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return [`${DIGEST}: missing; run \`deno task build:wasm\``];
  }
  const problems: string[] = [];
  if (recorded.sources !== digestSources()) {
    problems.push("lib/: built from other Rust sources; run `deno task build:wasm`");
  }
  const build = digestBuild();
  for (const name of new Set([...Object.keys(recorded.files), ...Object.keys(build)])) {
    if (recorded.files[name] !== build[name]) {
      problems.push(`lib/${name}: differs from the recorded build; run \`deno task build:wasm\``);
    }
  }
  return problems;
}

if (import.meta.main) exitWith(checkDigest(), "lib/ was built from the present sources");
