/**
 * Measures the dense product against jax-js, in turn in one process, and prints one JSON line per size.
 *
 * `jax_js_product.ts [--sizes 512,1024] [--rounds N] [--device gpu|cpu] [--host native|wasm] [--threads N]
 *   [--library PATH]`
 *
 * Both multiply square f32 matrices: ours x·Wᵀ, as a linear layer does, jax-js A·B, as its tuner knows it. On a GPU both
 * take the adapter that the system prefers, software included; on the CPU jax-js runs its WASM backend, on as many
 * threads as the process has processors (`taskset -c 0` makes that one). `single` waits for every product: ours allocates its operands each time and reads one word back, jax-js reads the whole result. `rate`
 * is of the products alone: how much longer ten more of them take before one wait.
 */

import { defaultDevice, init, numpy } from "npm:@jax-js/jax@0.1.25";
import { parseArgs } from "node:util";
import { open } from "../../src/engine/open.ts";
import { commandLine, count, oneOf, optionalCount, telling } from "../flags.ts";
import { MeasurementFailure } from "../measurement.ts";
import { median, round } from "../statistics.ts";

/** GFLOP/s of one product with its wait, and of further ones. */
interface Rates {
  readonly single: number;
  readonly rate: number;
}

/** Products by which two measurements differ. */
const MORE = 10;

const { sizes, rounds: repeats, device, ...options } = commandLine(import.meta, () => {
  const { values: flags } = parseArgs({
    options: {
      sizes: { type: "string", default: "512,1024" },
      rounds: { type: "string", default: "7" },
      device: { type: "string", default: "gpu" },
      threads: { type: "string" },
      host: { type: "string", default: "wasm" },
      library: { type: "string" },
    },
  });
  return {
    sizes: flags.sizes.split(",").map((size) => count("--sizes", size)),
    rounds: count("--rounds", flags.rounds),
    device: oneOf("--device", flags.device, ["gpu", "cpu"]),
    host: oneOf("--host", flags.host, ["native", "wasm"]),
    threads: optionalCount("--threads", flags.threads),
    nativeLibrary: flags.library,
  };
});

await using engine = await telling(() => open({ ...options, device, allowSoftware: true }));
const backend = device === "gpu" ? "webgpu" : "wasm";
await telling(async () => {
  if (!(await init()).includes(backend)) {
    throw new MeasurementFailure(`jax-js has no ${backend} here`);
  }
});
defaultDevice(backend);

for (const size of sizes) {
  const ours = (count: number) => engine.runProduct(size, size, size, count);
  const theirs = jaxProduct(size);
  await ours(1);
  await theirs(1);
  const rounds: { ours: Rates; theirs: Rates }[] = [];
  for (let i = 0; i < repeats; i++) {
    rounds.push({ ours: await measure(ours, size), theirs: await measure(theirs, size) });
  }
  const middle = (pick: (round: typeof rounds[number]) => number) =>
    round(median(rounds.map(pick)));
  console.log(JSON.stringify({
    size,
    host: options.host,
    adapter: engine.info.adapter,
    threads: engine.info.threads,
    processors: navigator.hardwareConcurrency,
    single_gflops: middle(({ ours }) => ours.single),
    jax_js_single_gflops: middle(({ theirs }) => theirs.single),
    single_ratio: middle(({ ours, theirs }) => ours.single / theirs.single),
    rate_gflops: middle(({ ours }) => ours.rate),
    jax_js_rate_gflops: middle(({ theirs }) => theirs.rate),
    rate_ratio: middle(({ ours, theirs }) => ours.rate / theirs.rate),
  }));
}
// The threads of jax-js would keep the process.
await engine.close();
Deno.exit();

/** Runs so many products of jax-js, each of the one before so that all must run, and reads the last result. */
function jaxProduct(size: number): (count: number) => Promise<void> {
  const matrix = (step: number) =>
    numpy.array(Float32Array.from({ length: size * size }, (_, i) => Math.sin(i * step)))
      .reshape([size, size]);
  const [a, b] = [matrix(0.7), matrix(1.3)];
  return async (count) => {
    let product = b.ref;
    for (let i = 0; i < count; i++) product = numpy.matmul(a.ref, product);
    await product.data();
  };
}

async function measure(run: (count: number) => Promise<void>, size: number): Promise<Rates> {
  const seconds = async (count: number) => {
    const start = performance.now();
    await run(count);
    return (performance.now() - start) / 1000;
  };
  const gflops = (count: number, seconds: number) => 2 * count * size ** 3 / seconds / 1e9;
  const single = await seconds(1);
  return { single: gflops(1, single), rate: gflops(MORE, await seconds(1 + MORE) - single) };
}
