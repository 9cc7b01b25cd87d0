/** Checks who may import whom, and that every module can be imported by URL. */

import { dirname, join } from "node:path/posix";
import { exitWith, readRepoFile, repoFiles } from "./repo.ts";

/** Modules that import nothing of the repository, open to all of `src/`. */
const SHARED = ["src/errors.ts", "src/suggest.ts", "src/version.ts"];

/** What the modules of one area may import besides the area itself. The first matching row counts. */
const DIRECTIONS: readonly { area: string; mayImport: readonly string[] }[] = [
  { area: "mod.ts", mayImport: ["src/"] },
  { area: "cli/", mayImport: ["mod.ts"] },
  ...SHARED.map((area) => ({ area, mayImport: [] })),
  { area: "src/io/", mayImport: SHARED },
  { area: "src/data/", mayImport: [...SHARED, "src/io/"] },
  { area: "src/hub/", mayImport: [...SHARED, "src/io/"] },
  {
    area: "src/model/",
    mayImport: [...SHARED, "src/io/", "src/data/", "src/engine/", "src/hub/"],
  },
  { area: "src/engine/", mayImport: [...SHARED, "lib/"] },
  { area: "src/spiel/", mayImport: [...SHARED, "src/engine/"] },
  { area: "src/checkpoint/", mayImport: [...SHARED, "src/io/", "src/engine/", "src/spiel/"] },
  {
    area: "src/adapter/",
    mayImport: [...SHARED, "src/io/", "src/hub/", "src/engine/", "src/model/", "src/spiel/"],
  },
  {
    area: "src/generate/",
    mayImport: [...SHARED, "src/data/", "src/engine/", "src/model/", "src/adapter/"],
  },
  { area: "src/export/", mayImport: ["src/"] },
  { area: "src/train/", mayImport: ["src/"] },
  { area: "examples/", mayImport: ["mod.ts", "cli/"] },
  { area: "bench/", mayImport: ["mod.ts", "src/", "tools/"] },
  { area: "tools/", mayImport: ["mod.ts", "src/io/"] },
  {
    area: "tests/",
    mayImport: ["mod.ts", "src/", "cli/", "lib/", "tools/", "bench/", "examples/"],
  },
];

/** Modules that one module alone imports: hosts are chosen in a single place. Tests are exempt. */
const RESERVED: Readonly<Record<string, string>> = {
  "src/engine/native.ts": "src/engine/open.ts",
  "src/engine/wasm.ts": "src/engine/open.ts",
};

/** Areas that may use another area's types but not its code. */
const TYPES_ONLY: readonly { from: string; to: string }[] = [
  { from: "src/spiel/", to: "src/engine/" },
];

/** One import or re-export of a module. */
interface Import {
  readonly specifier: string;
  readonly typeOnly: boolean;
}

const COMMENT = /\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm;
const STATIC = /^(?:import|export)\s+(?:(type)\s)?(?:[\w$*\s{},]*?\bfrom\s*)?["']([^"'\n]+)["']/gm;
const DYNAMIC = /\bimport\(\s*["']([^"'\n]+)["']/g;

/** Reads the imports out of a module's text. */
export function importsOf(source: string): Import[] {
  const code = source.replaceAll(COMMENT, "");
  return [
    ...[...code.matchAll(STATIC)].map(([, type, specifier]) => ({
      specifier: specifier ?? "",
      typeOnly: type !== undefined,
    })),
    ...[...code.matchAll(DYNAMIC)].map(([, specifier]) => ({
      specifier: specifier ?? "",
      typeOnly: false,
    })),
  ];
}

/** Says why a specifier cannot be resolved from a URL, or undefined when it can. */
export function specifierProblem(specifier: string): string | undefined {
  if (specifier.startsWith("node:")) return undefined;
  if (/^npm:(@[\w.-]+\/)?[\w.-]+@\d+\.\d+\.\d+(\/[\w./-]+)?$/.test(specifier)) return undefined;
  if (/^\.{1,2}\/.+\.(ts|js|json|wasm)$/.test(specifier)) return undefined;
  return "expected a relative path with its extension, npm:package@exact.version or node:";
}

/**
 * Checks one module against the table.
 *
 * @param path The module's path from the root.
 * @param source Its text.
 * @returns One sentence per broken rule.
 */
export function moduleProblems(path: string, source: string): string[] {
  const row = DIRECTIONS.find(({ area }) => path.startsWith(area));
  if (row === undefined) return [`${path}: its folder has no row in the table of directions`];
  const problems: string[] = [];
  for (const { specifier, typeOnly } of importsOf(source)) {
    const unresolvable = specifierProblem(specifier);
    if (unresolvable !== undefined) {
      problems.push(`${path}: cannot import "${specifier}" by URL: ${unresolvable}`);
      continue;
    }
    if (!specifier.startsWith(".")) continue;
    const target = join(dirname(path), specifier);
    if (![row.area, ...row.mayImport].some((allowed) => target.startsWith(allowed))) {
      const allowed = [row.area, ...row.mayImport].join(", ");
      problems.push(`${path}: imports ${target}; ${row.area} may import ${allowed}`);
    }
    const sole = RESERVED[target];
    if (sole !== undefined && path !== sole && row.area !== "tests/") {
      problems.push(`${path}: imports ${target}, which only ${sole} may`);
    }
    if (
      !typeOnly &&
      TYPES_ONLY.some(({ from, to }) => path.startsWith(from) && target.startsWith(to))
    ) {
      problems.push(`${path}: imports ${target} as code; expected \`import type\``);
    }
  }
  if (path === "mod.ts") problems.push(...reexportProblems(path, source));
  return problems;
}

/** A module of re-exports holds nothing else. */
function reexportProblems(path: string, source: string): string[] {
  const rest = source.replaceAll(COMMENT, "").replaceAll(
    /^export\s+(?:type\s)?[\w$*\s{},]*?\bfrom\s*["'][^"'\n]+["'];/gm,
    "",
  ).trim();
  return rest === "" ? [] : [`${path}: expected re-exports only, found "${rest.split("\n")[0]}"`];
}

/** Rust files in which the target may be asked for: hosts, devices and leaves of processor code. */
const TARGET_CODE = /^crates\/[^/]+\/src\/(host|device|simd)(\/|\.rs$)|\/simd\.rs$/;

/** Checks the rules for Rust sources and manifests that no lint of the compiler covers. */
export function rustProblems(path: string, source: string): string[] {
  if (path === "crates/spiel-kernels/Cargo.toml" && /^wgpu\b/m.test(source)) {
    return [`${path}: depends on wgpu; kernels are plain data and functions`];
  }
  if (path.endsWith(".rs") && !TARGET_CODE.test(path) && /\btarget_arch\b/.test(source)) {
    return [`${path}: asks for target_arch, which belongs in host/, device/ or a SIMD leaf`];
  }
  return [];
}

/** Checks the whole repository. */
export function checkImports(): string[] {
  return [
    ...repoFiles(".ts").flatMap((path) => moduleProblems(path, readRepoFile(path))),
    ...repoFiles(".rs", ".toml").flatMap((path) => rustProblems(path, readRepoFile(path))),
  ];
}

if (import.meta.main) exitWith(checkImports(), "imports follow the table of directions");
