/** The measuring programs of `bench/` say how they are called, and tell in a sentence what is wrong with a call. */

import assert from "node:assert/strict";
import { withTempDir } from "../support/temp_dir.ts";

const BENCH = new URL("../../bench/", import.meta.url).pathname;

/** Every program that its file's head says how to call; that against jax-js loads it before all else. */
const PROGRAMS = [".", "peers"].flatMap((folder) =>
  [...Deno.readDirSync(`${BENCH}${folder}`)].map(({ name }) => `${folder}/${name}`)
).filter((path) =>
  path.endsWith(".ts") && path !== "peers/jax_js_product.ts" &&
  Deno.readTextFileSync(BENCH + path).includes(` * \`${path.split("/").at(-1)}`)
).sort();

async function run(program: string, ...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-check", "--allow-all", BENCH + program, ...args],
    env: { NO_COLOR: "1", SPIEL_PYTHON: "python-that-is-not-there" },
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

Deno.test("bench: every program says how it is called, and refuses a flag that it does not have", async (t) => {
  assert.ok(PROGRAMS.length >= 11, PROGRAMS.join());
  for (const program of PROGRAMS) {
    await t.step(program, async () => {
      const help = await run(program, "--help");
      assert.equal(help.code, 0, help.stderr);
      assert.ok(help.stdout.includes(`\n\`${program.split("/").at(-1)}`), help.stdout);
      assert.doesNotMatch(help.stdout, /^ ?\*/m);
      const refused = await run(program, "--modle", "a");
      assert.equal(refused.code, 64, refused.stderr);
      assert.match(refused.stderr, /^error: Unknown option '--modle'[^\n]*\n$/);
    });
  }
});

Deno.test("bench: a trace without steps, or without usual ones, is told in a sentence", () =>
  withTempDir(async (folder) => {
    const path = `${folder}/trace.json`;
    const refused = async (trace: unknown, message: RegExp) => {
      Deno.writeTextFileSync(path, JSON.stringify(trace));
      const { code, stdout, stderr } = await run("shares.ts", path);
      assert.deepEqual([code, stdout], [65, ""], stderr);
      assert.match(stderr, message);
    };
    await refused({ traceEvents: [] }, /^[^\n]*trace\.json has no steps; expected [^\n]*\n$/);
    await refused({ traceEvents: "none" }, /has no steps/);
    const lane = { name: "thread_name", ph: "M", tid: 1, args: { name: "steps" } };
    const first = { name: "step 1", ph: "X", tid: 1, ts: 0, dur: 1, args: {} };
    await refused({ traceEvents: [lane, first] }, /^[^\n]* has no step but the first [^\n]*\n$/);
  }));

Deno.test("bench: beside peers, help says that they have no work in a window", async () => {
  const { stdout } = await run("peers/alternate.ts", "--help");
  const text = stdout.replaceAll(/\s+/g, " ");
  assert.match(text, /`-window` are of steps that .* divided by the same training steps/);
});

Deno.test("bench: a model or data that is not there is told in a sentence, with code 65", async (t) => {
  const demo = ["--model", `${BENCH}../examples/demo/model`];
  const nowhere = ["--model", "/nowhere"];
  const calls: [string, string[]][] = [
    ["bench.ts", nowhere],
    ["sweeps.ts", nowhere],
    ["decode_bench.ts", nowhere],
    ["load_bench.ts", nowhere],
    ["load_memory.ts", ["/nowhere"]],
    ["shares.ts", ["/nowhere"]],
    ["data_preparation.ts", nowhere],
    ["quantised_bases.ts", [...nowhere, "--data", "a", "--eval-data", "b"]],
    ["start_bench.ts", [...nowhere, "--data", "a"]],
    ["start_bench.ts", [...demo, "--data", "/nowhere"]],
    ["peers/alternate.ts", nowhere],
    ["peers/bitsandbytes_loss.ts", [...nowhere, "--eval-data", "a"]],
  ];
  for (const [program, args] of calls) {
    await t.step(`${program} ${args.join(" ")}`, async () => {
      const { code, stderr } = await run(program, ...args);
      assert.equal(code, 65, stderr);
      assert.match(stderr, /^[^\n]*"\/nowhere" does not exist[^\n]*\n$/);
    });
  }
});
