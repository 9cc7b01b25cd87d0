/** Programs of `bench/` measure small models, and tell what is wrong with another or with the machine. */

import assert from "node:assert/strict";
import type { Configuration } from "../../bench/configurations.ts";
import { measureAlone } from "../../bench/measurement.ts";
import { gpuDevices, HOSTED_DEVICES } from "../support/hosts.ts";

const MODEL = new URL("../../examples/demo/model", import.meta.url).pathname;

const NO_NATIVE = HOSTED_DEVICES.some(({ name, ignore }) => name === "native:cpu" && ignore);

/** Runs a program of `bench/`, with Deno's flags before it. */
async function run(denoFlags: readonly string[], program: string, flags: readonly string[]) {
  const path = decodeURIComponent(new URL(`../../bench/${program}`, import.meta.url).pathname);
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-check", "--allow-all", ...denoFlags, path, ...flags],
    env: { NO_COLOR: "1" },
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

function decodeBench(flags: readonly string[], denoFlags: readonly string[] = []) {
  const few = ["--model", decodeURIComponent(MODEL), "--tokens", "2", "--rounds", "1"];
  return run(denoFlags, "decode_bench.ts", [...few, ...flags]);
}

function measured(workload: Configuration["workload"], model = decodeURIComponent(MODEL)) {
  const configuration: Configuration = { name: "small", base: "stored", workload };
  return measureAlone({ configuration, model, steps: 1, host: "auto", precision: "f32" });
}

Deno.test("bench: a window's steps are measured in a process of their own", async () => {
  const line = await measured({
    ...{ task: "train", method: "spiel-ag", budget: { rankEquivalent: 1 }, window: true },
    ...{ checkpointing: "block", sequences: 2, length: 16 },
  });
  assert.equal(line.name, "small");
  assert.ok(line.tokens_per_second > 0 && line.peak_bytes! > 0);
  assert.ok(Number(line["candidate_step_seconds"]) > 0);
  const share = Number(line["product_share"]);
  assert.ok(share > 0 && share <= 1, `${share} of the step are products`);
});

Deno.test("bench: generation is held against what reading the weights takes", async () => {
  const line = await measured({ task: "decode" });
  assert.ok(Number(line["product_share"]) > 0);
  checkCopy(line);
});

Deno.test("bench: decoding is told against the same copy", { ignore: NO_NATIVE }, async () => {
  const { code, stdout, stderr } = await decodeBench([]);
  assert.equal(code, 0, stderr);
  checkCopy(JSON.parse(stdout));
});

Deno.test(
  "bench: decoding tells its operations, or why it cannot",
  { ignore: NO_NATIVE },
  async () => {
    const { milliseconds } = JSON.parse((await decodeBench(["--profile"])).stdout);
    const products = Object.keys(milliseconds).filter((name) => name.startsWith("linear_packed"));
    assert.ok(products.length > 0 && products.every((name) => milliseconds[name] > 0));
    const fixture = new URL("lost_profile_fixture.ts", import.meta.url).pathname;
    const lost = await decodeBench(["--profile"], ["--preload", decodeURIComponent(fixture)]);
    assert.deepEqual(lost, {
      code: 70,
      stdout: "",
      stderr: "error: The engine failed: unreachable\n",
    });
  },
);

Deno.test("bench: a kernel is told with the model and the shape that it is of", {
  ignore: (await gpuDevices()).every(({ ignore }) => ignore),
}, async () => {
  const small = ["--scale", "36", "--tokens", "4", "--format", "f32"];
  const { stdout, stderr } = await run([], "kernel_bench.ts", small);
  const lines = stdout.trim().split("\n").map((line) => JSON.parse(line));
  assert.ok(lines.some(({ operation }) => operation === "product_nt"), stderr);
  for (const { model, operation, shape, share_of_moved: share } of lines) {
    assert.equal(model, "smollm2-135m / 36");
    assert.ok(Array.isArray(shape) && share >= 0, operation);
  }
});

/** What is copied is half of what is moved, so that the share of it is twice as large. */
function checkCopy(line: Readonly<Record<string, unknown>>): void {
  const number = (name: string) => Number(line[name]);
  const isTwice = (a: string, b: string) =>
    assert.ok(Math.abs(number(a) / number(b) - 2) < 0.01, `${a}: ${line[a]}, ${b}: ${line[b]}`);
  isTwice("moved_gigabytes_per_second", "copied_gigabytes_per_second");
  isTwice("share_of_copied", "share_of_moved");
}

Deno.test("bench: what goes wrong in the process is told with its configuration", async () => {
  const nowhere = measured({ task: "decode" }, "/nowhere");
  await assert.rejects(nowhere, { message: /^small: [^]*"\/nowhere" does not exist/ });
});
