/**
 * Measures the programs of a training step on a GPU, and prints one JSON line per operation, shape and format: its rate
 * of arithmetic and of memory, and what share that is of the adapter's own, which two probes measure in the same run.
 *
 * `kernel_bench.ts [--gpu GPU] [--shape NAME] [--scale N] [--tokens T] [--density D] [--format f32,bf16,…]
 *   [--precision f32|f16] [--repeats N] [--host auto|native|wasm] [--native-library FILE]`
 *
 * The programs are those of one block and the head of a model of that shape, its widths divided by `--scale`, in steps
 * by every method: with a selection window, a reselection and a micro-batch of `--tokens` tokens in two sequences. The
 * smaller defaults of software adapters keep a run within a minute or two. Bytes are what is read and written, and
 * `share_of_moved` is their share of what a copy reads and writes.
 */

import { parseArgs } from "node:util";
import type { Engine } from "../src/engine/engine.ts";
import { open } from "../src/engine/open.ts";
import type {
  GrowthCriterion,
  ModelConfig,
  ModelOptions,
  ProfileRow,
  WeightFormat,
} from "../src/engine/protocol.gen.ts";
import { allotDeltas } from "../src/spiel/budget.ts";
import { MODEL_SHAPES } from "../tools/make_synthetic/shapes.ts";
import { commandLine, listOf, oneOf, optionalCount, positive, telling } from "./flags.ts";
import { HOSTS, MeasurementFailure } from "./measurement.ts";
import { round } from "./statistics.ts";
import { randomBatch, TARGETS } from "./workload.ts";

const PROBE_REPEATS = 3;
/** Widest model on an adapter that a CPU plays, unless told otherwise. */
const SOFTWARE_WIDTH = 192;

const { shape, density, precision, ...flags } = commandLine(import.meta, () => {
  const { values } = parseArgs({
    options: {
      gpu: { type: "string" },
      host: { type: "string", default: "auto" },
      "native-library": { type: "string" },
      shape: { type: "string", default: "smollm2-135m" },
      scale: { type: "string" },
      tokens: { type: "string" },
      density: { type: "string", default: "0.01" },
      format: { type: "string", default: "f32,bf16" },
      precision: { type: "string", default: "f32" },
      repeats: { type: "string" },
    },
  });
  return {
    gpu: values.gpu,
    host: oneOf("--host", values.host, HOSTS),
    nativeLibrary: values["native-library"],
    shape: oneOf("--shape", values.shape, Object.keys(MODEL_SHAPES)),
    scale: optionalCount("--scale", values.scale),
    tokens: optionalCount("--tokens", values.tokens),
    density: positive("--density", values.density),
    format: values.format,
    precision: oneOf("--precision", values.precision, ["f32", "f16"]),
    repeats: optionalCount("--repeats", values.repeats),
  };
});
const { gpu, host, nativeLibrary } = flags;
await using engine = await telling(() =>
  open({ host, device: "gpu", gpu, allowSoftware: true, nativeLibrary })
);
const formats = commandLine(
  import.meta,
  () => listOf("--format", flags.format, engine.info.formats.map(({ format }) => format)),
);
const { gpus } = await engine.gpus();
const isSoftware = gpus.find(({ name }) => engine.info.adapter.startsWith(name))?.software ?? false;
const whole = MODEL_SHAPES[shape]!;
const usualScale = isSoftware ? Math.ceil(whole.hidden_size / SOFTWARE_WIDTH) : 1;
const { scale = usualScale, tokens = isSoftware ? 64 : 2048, repeats = isSoftware ? 1 : 5 } = flags;
const config = scaled(whole, scale);

const probes = await telling(async () => {
  await engine.switchProfile(true);
  await engine.runProbes(PROBE_REPEATS);
  return (await engine.readProfile()).operations;
});
const rateOf = (name: string, amount: "flops" | "bytes") => {
  const row = probes.find(({ operation }) => operation === name);
  if (row === undefined || row.seconds === null || row[amount] === null) {
    throw new MeasurementFailure(`${engine.info.adapter} has no timestamps to measure kernels by`);
  }
  return row[amount] / row.seconds;
};
const fmaRate = await telling(() => rateOf("fma_probe", "flops"));
const copyRate = await telling(() => rateOf("copy_probe", "bytes"));

const rows = new Map<string, ProfileRow>();
for (const format of formats) {
  for (const method of ["spiel-ag", "spiel-ma", "full"] as const) {
    if (method === "full" && format !== "f32") continue;
    await telling(async () => {
      await prepare(engine, method, format);
      // The first pass compiles the programs.
      await pass(engine, method);
      await engine.switchProfile(true);
      for (let i = 0; i < repeats; i++) await pass(engine, method);
      join(rows, (await engine.readProfile()).operations);
    });
  }
}
for (const row of [...probes, ...rows.values()]) print(row);

/** One block of the shape, its widths divided. */
function scaled(shape: ModelConfig, scale: number): ModelConfig {
  const part = (size: number) => Math.max(1, Math.round(size / scale));
  // Quantised blocks have 32 weights.
  const width = (size: number) => Math.ceil(size / scale / 32) * 32;
  return {
    ...shape,
    num_hidden_layers: 1,
    hidden_size: width(shape.hidden_size),
    intermediate_size: width(shape.intermediate_size),
    num_attention_heads: part(shape.num_attention_heads),
    num_key_value_heads: part(shape.num_key_value_heads),
    vocab_size: width(shape.vocab_size),
  };
}

async function prepare(engine: Engine, method: string, format: WeightFormat): Promise<void> {
  const isFull = method === "full";
  const bare: ModelOptions = {
    formats: [],
    trainable: isFull ? "weights" : "deltas",
    deltas: [],
    candidates: method === "spiel-ag",
    optimizer: method === "spiel-ma" ? "sm3" : "adamw",
    microBatchTokens: tokens,
    activationCheckpointing: "none",
    precision,
    memoryBudget: null,
  };
  const plan = await engine.planModel(config, { ...bare, candidates: false });
  const matrices = plan.tensors.filter(({ shape }) => shape.length === 2);
  const formats = format === "f32" ? [] : matrices.map(({ name }) => ({ name, format }));
  const deltas = isFull ? [] : allotDeltas(plan, { density }, TARGETS);
  await engine.createModel(config, { ...bare, formats, deltas });
  await engine.initTensors(1, 0.02);
  for (const { module, count } of deltas) await engine.attachDeltas(module, count, 1);
}

/** Two steps and what is between them: with SpIEL-AG a window, else none. */
async function pass(engine: Engine, method: string): Promise<void> {
  const batch = randomBatch(config, tokens, 2);
  if (method === "spiel-ag") await engine.beginCandidates();
  for (let step = 1; step <= 2; step++) {
    await engine.forwardBackward(batch, 1 / tokens);
    const update = { weightDecay: 0, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, maxGradNorm: 1 };
    await engine.optimizerStep({ learningRate: 1e-4, ...update, step });
  }
  if (method === "full") return;
  const criterion: GrowthCriterion = method === "spiel-ag"
    ? "accumulatedGradients"
    : "momentumApproximation";
  const numbers = { rate: 0.2, gradientAccumulationSteps: 1, beta1: 0.9, beta2: 0.999 };
  await engine.reselect({ criterion, ...numbers });
}

function join(sums: Map<string, ProfileRow>, rows: readonly ProfileRow[]): void {
  const add = (a: number | null, b: number | null) => a === null || b === null ? null : a + b;
  for (const row of rows) {
    const key = `${row.operation} ${row.shape} ${row.format}`;
    const before = sums.get(key);
    sums.set(
      key,
      before === undefined ? row : {
        ...row,
        calls: before.calls + row.calls,
        seconds: add(before.seconds, row.seconds),
        flops: add(before.flops, row.flops),
        bytes: add(before.bytes, row.bytes),
      },
    );
  }
}

function print({ operation, calls, seconds, flops, bytes, ...of }: ProfileRow): void {
  if (seconds === null || flops === null || bytes === null) return;
  console.log(JSON.stringify({
    adapter: engine.info.adapter,
    model: scale === 1 ? shape : `${shape} / ${scale}`,
    ...{ operation, ...of, calls },
    microseconds: round(1e6 * seconds / calls),
    gflops_per_second: round(flops / seconds / 1e9),
    gigabytes_per_second: round(bytes / seconds / 1e9),
    share_of_fma_rate: round(flops / seconds / fmaRate),
    share_of_moved: round(bytes / seconds / copyRate),
  }));
}
