/** Tests of the gate's own judgement: counting tests, import rules, budgets, documents, versions. */

import assert from "node:assert/strict";
import { importsOf, moduleProblems, rustProblems } from "../../../tools/check_imports.ts";
import { documentProblems } from "../../../tools/check_docs.ts";
import { explainedOperations, operationProblems } from "../../../tools/check_operations.ts";
import { budgetOf, countLines } from "../../../tools/check_size.ts";
import { addCounts, cargoCounts, denoCounts, formatCounts } from "../../../tools/counts.ts";
import { runGate, runStage, shorten } from "../../../tools/ok.ts";
import { readRepoFile } from "../../../tools/repo.ts";
import { isAtLeast } from "../../../tools/setup.ts";
import { VERSION } from "../../../src/version.ts";

Deno.test("counts sum every test binary of cargo", () => {
  const output = [
    "running 3 tests",
    "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s",
    "test result: FAILED. 2 passed; 4 failed; 0 ignored; 0 measured; 0 filtered out",
  ].join("\n");
  assert.deepEqual(cargoCounts(output), { passed: 5, failed: 4, skipped: 1 });
  assert.equal(cargoCounts("error: could not compile"), undefined);
});

Deno.test("counts take steps of Deno tests as tests and only the last summary", () => {
  const output = [
    "ok | 9 passed | 0 failed (1ms)",
    "FAILED | 1 passed (2 steps) | 1 failed (1 step) | 1 ignored (3 steps) (11ms)",
  ].join("\n");
  assert.deepEqual(denoCounts(output), { passed: 3, failed: 2, skipped: 4 });
  assert.deepEqual(denoCounts("ok | 7 passed | 0 failed (5ms)\n"), {
    passed: 7,
    failed: 0,
    skipped: 0,
  });
  assert.equal(denoCounts("error: No test modules found"), undefined);
});

Deno.test("the last line has one form", () => {
  const total = addCounts({ passed: 1, failed: 2, skipped: 3 }, {
    passed: 4,
    failed: 0,
    skipped: 1,
  });
  assert.equal(formatCounts(total), "5 passed, 2 failed, 4 skipped");
});

Deno.test("a stage fails when its command does, when a test does, and when nothing was counted", async () => {
  const evaluate = (code: string) => ({
    name: "x",
    command: [Deno.execPath(), "eval", code],
    counts: denoCounts,
  });
  const summary = (line: string) => `console.log(${JSON.stringify(line)})`;
  const good = await runStage(evaluate(summary("ok | 2 passed | 0 failed (1ms)")), false);
  assert.deepEqual([good.good, good.counts], [true, { passed: 2, failed: 0, skipped: 0 }]);
  const bad = await runStage(evaluate(summary("FAILED | 2 passed | 1 failed (1ms)")), false);
  assert.deepEqual([bad.good, bad.counts], [false, { passed: 2, failed: 1, skipped: 0 }]);
  const exited = await runStage(
    evaluate(`${summary("ok | 2 passed | 0 failed (1ms)")}; Deno.exit(3)`),
    false,
  );
  assert.deepEqual([exited.good, exited.counts], [false, { passed: 2, failed: 1, skipped: 0 }]);
  const silent = await runStage(evaluate(""), false);
  assert.deepEqual([silent.good, silent.counts.failed], [false, 1]);
  const absent = await runStage({ name: "x", command: ["no-such-program-here"] }, false);
  assert.deepEqual([absent.good, absent.counts.failed], [false, 1]);
});

Deno.test("a failed stage fails the gate and stops what needs it, and nothing else", async () => {
  const ran: string[] = [];
  const stage = (name: string, problems: string[], needs: string[] = []) => ({
    name,
    needs,
    check: () => {
      ran.push(name);
      return problems;
    },
  });
  const { log } = console;
  const lines: string[] = [];
  console.log = (line: string) => lines.push(line);
  try {
    const status = await runGate(
      [stage("a", ["wrong"]), stage("b", [], ["a"]), stage("c", [], ["b"]), stage("d", [])],
      false,
    );
    assert.equal(status, 1);
  } finally {
    console.log = log;
  }
  assert.deepEqual(ran, ["a", "d"]);
  assert.equal(lines.at(-1), "0 passed, 3 failed, 0 skipped");
});

Deno.test("imports are found in every spelling and not in comments", () => {
  const source = [
    `import a, { type B } from "./a.ts";`,
    `import type { C } from "./c.ts";`,
    `import {`,
    `  d,`,
    `} from "./d.ts";`,
    `import "./e.ts";`,
    `export * from "./f.ts";`,
    `export type { G } from "./g.ts";`,
    `// import "./no.ts";`,
    `/* import "./neither.ts"; */`,
    `const h = await import("./h.ts");`,
  ].join("\n");
  assert.deepEqual(
    importsOf(source).map(({ specifier, typeOnly }) => `${specifier}${typeOnly ? " type" : ""}`),
    [
      "./a.ts",
      "./c.ts type",
      "./d.ts",
      "./e.ts",
      "./f.ts",
      "./g.ts type",
      "./h.ts",
    ],
  );
});

Deno.test("directions between areas", () => {
  const broken = (path: string, source: string) => moduleProblems(path, source).length;
  assert.equal(broken("cli/train.ts", `import { train } from "../mod.ts";`), 0);
  assert.equal(broken("cli/train.ts", `import { train } from "../src/train/trainer.ts";`), 1);
  assert.equal(broken("src/io/gguf.ts", `import { open } from "../engine/open.ts";`), 1);
  assert.equal(broken("src/train/trainer.ts", `import "../engine/native.ts";`), 1);
  assert.equal(broken("src/engine/open.ts", `import "./native.ts";`), 0);
  assert.equal(broken("src/spiel/budget.ts", `import { Engine } from "../engine/engine.ts";`), 1);
  assert.equal(broken("src/spiel/budget.ts", `import type { E } from "../engine/engine.ts";`), 0);
  assert.equal(broken("src/elsewhere/x.ts", ``), 1);
  assert.equal(broken("mod.ts", `export { train } from "./src/train/trainer.ts";`), 0);
  assert.equal(broken("mod.ts", `export const version = "1";`), 1);
});

Deno.test("specifiers resolve from a URL", () => {
  const broken = (specifier: string) =>
    moduleProblems("src/data/x.ts", `import "${specifier}";`).length;
  for (const good of ["npm:zod@4.6.7", "npm:@huggingface/jinja@0.5.11", "node:crypto", "./y.ts"]) {
    assert.equal(broken(good), 0, good);
  }
  for (
    const bad of ["zod", "npm:zod", "npm:zod@^4.6.7", "jsr:@std/assert", "./y", "https://x/y.ts"]
  ) {
    assert.equal(broken(bad), 1, bad);
  }
});

Deno.test("rules for Rust", () => {
  const asks = `#[cfg(target_arch = "wasm32")]`;
  assert.equal(rustProblems("crates/spiel-engine/src/engine.rs", asks).length, 1);
  assert.equal(rustProblems("crates/spiel-engine/src/host/wasm.rs", asks).length, 0);
  assert.equal(rustProblems("crates/spiel-kernels/Cargo.toml", `wgpu = "29"`).length, 1);
});

Deno.test("budgets and lines", () => {
  assert.equal(budgetOf("src/train/trainer.ts"), 250);
  assert.equal(budgetOf("crates/spiel-engine/src/host/native.rs"), 120);
  assert.equal(budgetOf("src/io/gguf.ts"), 400);
  assert.equal(budgetOf("src/engine/protocol.gen.ts"), Infinity);
  assert.deepEqual(["", "a", "a\n", "a\n\n"].map(countLines), [0, 1, 1, 2]);
});

Deno.test("documents name what exists", () => {
  const exists = (path: string) => path === "docs/guide.md";
  const check = (text: string) =>
    documentProblems("README.md", text, exists, new Set(["demo", "build:wasm"]));
  assert.deepEqual(
    check("[a](docs/guide.md#x) [b](https://x.org) [c](#d) `npx -y deno@2.9.6 task demo`"),
    [],
  );
  assert.equal(check("[a](docs/gone.md)").length, 1);
  assert.equal(check("run deno task build:wasm, then deno task fly").length, 1);
  // Cells that were to be filled in later.
  const table = (cell: string) => check(`| a | b |\n| -: | -: |\n| 1,030 MB | ${cell} |\n`);
  assert.deepEqual(table("PEAKTRAIN MB"), [
    'README.md: has "PEAKTRAIN MB" in a table, expected a number before the unit',
  ]);
  for (const cell of ["+X1 %", "RATE_2 tokens/s", "1 to MOST ms", "PEAK GB, +2 %", "TIME s"]) {
    assert.equal(table(cell).length, 1, cell);
  }
  for (
    const cell of [
      "94 MB",
      "13 s, 3.2 GB",
      "a CPU and/or a GPU",
      "CPU and/or GPU",
      "AVX-512",
      "`MB`",
      "GB/s",
      "a GPU s1",
    ]
  ) {
    assert.deepEqual(table(cell), [], cell);
  }
});

Deno.test("operations that a profile can name are explained", () => {
  const explained = explainedOperations(
    "# K\n\n## Operations\n\n| operation | what |\n| --- | --- |\n| `a`, `b_c` | does `x` |\n\n## Next\n| `d` | e |\n",
  );
  assert.deepEqual([...explained], ["a", "b_c"]);
  const check = (text: string) => operationProblems("cpu.rs", text, explained);
  assert.deepEqual(
    check('self.perform(\n  "a", work); self.run("b_c", || x()); other.run("y")'),
    [],
  );
  assert.deepEqual(check('let name = if x { "a" } else { "d" };\nself.perform(name, work)'), [
    'cpu.rs: counts "d", which docs/kernels.md does not explain',
  ]);
  assert.match(check("self.perform(label, work)").join(), /by "label", expected a name/);
});

Deno.test("versions compare by number", () => {
  assert.equal(isAtLeast("2.10.0", "2.9.6"), true);
  assert.equal(isAtLeast("2.9.6", "2.9.6"), true);
  assert.equal(isAtLeast("2.9.5", "2.9.6"), false);
  assert.equal(isAtLeast("1.96.0-nightly", "1.95.0"), true);
});

Deno.test("the end of a long output is kept", () => {
  const lines = Array.from({ length: 250 }, (_, i) => `line ${i}`);
  const shown = shorten(lines.join("\n") + "\n").split("\n");
  assert.equal(shown[0], "(150 lines before these; --verbose prints all)");
  assert.deepEqual(shown.slice(1), lines.slice(150));
  assert.equal(shorten("short\n"), "short");
});

Deno.test("one version in the library, deno.json and Cargo.toml", () => {
  const { version } = JSON.parse(readRepoFile("deno.json")) as { version: string };
  assert.equal(VERSION, version);
  assert.match(readRepoFile("Cargo.toml"), new RegExp(`^version = "${version}"$`, "m"));
});
