/**
 * Measures training, forward passes and generation on the CPU, each configuration in a process of its own, and prints a
 * JSON line for each: tokens per second, what products by weights are of a step and how fast they are, and memory.
 *
 * `bench.ts [--model PATH] [--only PART/PART …] [--rounds N] [--steps N] [--host auto|native|wasm] [--threads N]
 *   [--precision auto|f32|bf16] [--list]`
 *
 * Rounds take all configurations in turn, so that a drifting machine slows all of them; after several rounds a line each
 * has the medians, with the slowest and the fastest round's tokens per second and the largest peak. The model is `SmolLM2-135M-Instruct.Q4_1.gguf` in the folder `SPIEL_MODELS` unless another is named;
 * configurations are selected by parts of their names, which `--list` shows: a workload, a shape (sequences x tokens of
 * each), and the base, which is `stored` as the file has it, or bf16 or f32 made from that.
 */

import { basename } from "node:path";
import { openModelSource } from "../src/model/source.ts";
import { Bases } from "./bases.ts";
import { commandLine, telling } from "./flags.ts";
import { type Measurement, measureOrTell } from "./measurement.ts";
import { benchOptions } from "./options.ts";
import { largest, middle } from "./statistics.ts";

const { configurations, rounds, list, model, ...options } = commandLine(
  import.meta,
  () => benchOptions(Deno.args, Deno.env.get("SPIEL_MODELS")),
);
if (list) {
  for (const { name } of configurations) console.log(name);
  Deno.exit(0);
}

await telling(() => openModelSource(model)[Symbol.dispose]());
await using bases = new Bases(model);
const lines = new Map<string, Measurement[]>();
for (let number = 1; number <= rounds; number++) {
  for (const configuration of configurations) {
    const form = await bases.path(configuration.base);
    const line = await measureOrTell({ ...options, configuration, model: form });
    if (line === null) continue;
    lines.set(line.name, [...lines.get(line.name) ?? [], line]);
    console.log(JSON.stringify({ model: basename(model), ...line, round: number }));
  }
}
if (rounds > 1) {
  for (const measured of lines.values()) {
    const rates = measured.map(({ tokens_per_second: rate }) => rate);
    console.log(JSON.stringify({
      ...{ model: basename(model), ...middle(measured), rounds: measured.length },
      ...{ slowest: Math.min(...rates), fastest: Math.max(...rates) },
      peak_bytes: largest(measured.map(({ peak_bytes: bytes }) => bytes)),
    }));
  }
}
