/**
 * Measures ways to fine-tune here and in PyTorch in turn on one machine, each in a fresh process, with as many threads,
 * on the same random tokens: forward, backward and update. Prints a JSON line for each process, then one for each way with
 * the medians and the ratios to the best peer of the same round, of rounds in which no peer failed, then these as a table.
 *
 * `alternate.ts --model FILE.gguf [--rounds N] [--steps N] [--threads N] [--shapes 4x256,1x512]
 *   [--types float32,bfloat16] [--peers full,lora-r8,…] [--reference-python PYTHON]`
 *
 * Rows of ours that end in `-window` are of steps that also accumulate at a selection window's candidates, and are divided
 * by the same training steps of the peers, which have no such work.
 *
 * Opt-in: `SPIEL_PYTHON` names a Python with torch, transformers and peft. The reference is measured where another Python
 * has the fork of PEFT that the authors of SpIEL made.
 */

import { parseArgs } from "node:util";
import { openModelSource } from "../../src/model/source.ts";
import { Bases } from "../bases.ts";
import type { Base, Configuration, Training } from "../configurations.ts";
import { commandLine, count, listOf, shapeOf, telling } from "../flags.ts";
import { measureAlone, type MeasureRequest, orTold } from "../measurement.ts";
import { round } from "../statistics.ts";
import { compare, type Row, tableOf } from "./ratios.ts";
import { measureTorch, PEERS, REFERENCE, TORCH_TYPES, type TorchType } from "./torch.ts";

/** What is trained here: as many deltas as LoRA of rank 8 has parameters, and 2 % of the weights. */
const OURS: Readonly<Record<string, Pick<Training, "budget" | "window">>> = {
  "spiel-ag-r8": { budget: { rankEquivalent: 8 }, window: false },
  "spiel-ag-r8-window": { budget: { rankEquivalent: 8 }, window: true },
  "spiel-ag-2%": { budget: { density: 0.02 }, window: false },
  "spiel-ag-2%-window": { budget: { density: 0.02 }, window: true },
};

/** How the base is stored and computed with for each type of PyTorch's weights. */
const FORMS: Readonly<Record<TorchType, { base: Base; precision: MeasureRequest["precision"] }>> = {
  float32: { base: "f32", precision: "f32" },
  bfloat16: { base: "bf16", precision: "auto" },
};

const options = commandLine(import.meta, () => {
  const { values: flags } = parseArgs({
    options: {
      model: { type: "string" },
      rounds: { type: "string", default: "3" },
      steps: { type: "string", default: "3" },
      threads: { type: "string", default: "2" },
      shapes: { type: "string", default: "4x256,1x512" },
      types: { type: "string", default: TORCH_TYPES.join(",") },
      peers: { type: "string", default: PEERS.join(",") },
      "reference-python": { type: "string" },
    },
  });
  const python = Deno.env.get("SPIEL_PYTHON");
  if (flags.model === undefined || python === undefined) {
    throw new RangeError(
      "Expected --model, and in SPIEL_PYTHON a Python with torch, transformers and peft",
    );
  }
  const reference = flags["reference-python"];
  return {
    model: flags.model,
    rounds: count("--rounds", flags.rounds),
    steps: count("--steps", flags.steps),
    threads: count("--threads", flags.threads),
    shapes: flags.shapes.split(",").map((text) => shapeOf("--shapes", text)),
    types: listOf("--types", flags.types, TORCH_TYPES),
    peers: [
      ...listOf("--peers", flags.peers, PEERS).map((method) => ({ method, python })),
      ...reference === undefined ? [] : [{ method: REFERENCE, python: reference } as const],
    ],
  };
});

await telling(() => openModelSource(options.model)[Symbol.dispose]());
await using bases = new Bases(options.model);
const rows: Row[] = [];
const toldVersions = new Set<string>();
const settings = options.types.flatMap((type) =>
  options.shapes.map((shape) => ({ type, shape, name: `${shape.join("x")} ${type}` }))
);
for (let number = 1; number <= options.rounds; number++) {
  for (const setting of settings) {
    // Peers and ours in turn, so that a drifting machine slows both.
    const ours = Object.keys(OURS);
    for (let i = 0; i < Math.max(ours.length, options.peers.length); i++) {
      const [peer, own] = [options.peers[i], ours[i]];
      if (peer !== undefined) await orTold(measurePeer(number, setting, peer));
      if (own !== undefined) await orTold(measureOurs(number, setting, own));
    }
  }
}
const comparisons = compare(rows);
for (const comparison of comparisons) {
  const { tokensPerSecond, peakBytes, speed, memory, comparedRounds, ...rest } = comparison;
  console.log(JSON.stringify({
    ...{ ...rest, compared_rounds: comparedRounds },
    ...{ tokens_per_second: tokensPerSecond, peak_bytes: peakBytes },
    times_fastest_peer: speed && round(speed),
    times_leanest_peer: memory && round(memory),
  }));
}
for (const line of tableOf(comparisons)) console.log(line);

type Setting = typeof settings[number];

async function measurePeer(
  number: number,
  { type, shape: [sequences, length], name }: Setting,
  { method, python }: typeof options.peers[number],
): Promise<void> {
  const { threads, steps } = options;
  const measured = await measureTorch(python, {
    model: await bases.path(FORMS[type].base),
    ...{ method, dtype: type, sequences, length, threads, warmup: 1, steps },
  });
  const { versions, ...line } = measured;
  const told = JSON.stringify({ versions });
  if (!toldVersions.has(told)) console.log(told);
  toldVersions.add(told);
  console.log(JSON.stringify({ round: number, setting: name, side: "peer", ...line }));
  if ("missing" in measured) return;
  rows.push({
    ...{ round: number, setting: name, side: "peer", method },
    ...{ tokensPerSecond: measured.tokens_per_second, peakBytes: measured.peak_bytes },
  });
}

async function measureOurs(
  number: number,
  { type, shape: [sequences, length], name }: Setting,
  method: string,
): Promise<void> {
  const { base, precision } = FORMS[type];
  const configuration: Configuration = {
    ...{ name: method, base },
    workload: {
      ...{ task: "train", method: "spiel-ag", ...OURS[method]!, checkpointing: "none" },
      ...{ sequences, length },
    },
  };
  const { steps, threads } = options;
  const model = await bases.path(base);
  const line = await measureAlone({
    ...{ configuration, model, steps, threads, precision, host: "native" },
  });
  console.log(JSON.stringify({ round: number, setting: name, side: "ours", method, ...line }));
  rows.push({
    ...{ round: number, setting: name, side: "ours", method },
    ...{ tokensPerSecond: line.tokens_per_second, peakBytes: line.peak_bytes ?? NaN },
  });
}
