/**
 * Measures greedy decoding of one sequence against the rate at which the engine's threads copy memory, both in turn in one
 * run, and prints one JSON line.
 *
 * Every token needs all weights once. A copy moves every byte twice, in and out: `share_of_copied` is of the bytes that it
 * copies, which is no limit, as decoding only reads, and `share_of_moved` of those that it moves, twice as many.
 *
 * `decode_bench.ts --model PATH [--tokens N] [--rounds N] [--threads N] [--profile]`; `--profile` adds the milliseconds of
 * every operation per token.
 */

import { basename } from "node:path";
import { parseArgs } from "node:util";
import type { Engine } from "../src/engine/engine.ts";
import { open } from "../src/engine/open.ts";
import { sampleToken } from "../src/generate/sampling.ts";
import { inferenceUse, loadModel } from "../src/model/load.ts";
import { openModelSource } from "../src/model/source.ts";
import { measurePeaks } from "../src/train/peaks.ts";
import { copyRates, sharesOfCopy, weightBytesPerToken } from "./copy_rate.ts";
import { commandLine, count, optionalCount, telling } from "./flags.ts";
import { MeasurementFailure } from "./measurement.ts";
import { sumByShape } from "./shapes.ts";
import { median, round } from "./statistics.ts";

const PROMPT = Uint32Array.of(1, 2, 3, 4);

const { model, tokens, rounds, threads, profile } = commandLine(import.meta, () => {
  const { values: flags } = parseArgs({
    options: {
      model: { type: "string" },
      tokens: { type: "string", default: "64" },
      rounds: { type: "string", default: "5" },
      threads: { type: "string" },
      profile: { type: "boolean", default: false },
    },
  });
  if (flags.model === undefined) throw new RangeError("Expected --model");
  return {
    model: flags.model,
    tokens: count("--tokens", flags.tokens),
    rounds: count("--rounds", flags.rounds),
    threads: optionalCount("--threads", flags.threads),
    profile: flags.profile,
  };
});
await telling(measure);

async function measure(): Promise<void> {
  using source = openModelSource(model);
  await using engine = await open({ host: "native", device: "cpu", threads });
  await loadModel(engine, source, inferenceUse(PROMPT.length));
  const decodes: number[] = [], copies: number[] = [];
  await decode(engine, tokens);
  for (let round = 0; round < rounds; round++) {
    copies.push(await measureCopyRate(engine));
    decodes.push(await decode(engine, tokens));
  }
  const [perSecond, copyRate] = [median(decodes), median(copies)];
  const bytes = weightBytesPerToken(source);
  console.log(JSON.stringify({
    model: basename(model),
    threads: engine.info.threads,
    tokens_per_second: round(perSecond),
    weight_bytes_per_token: bytes,
    weight_gigabytes_per_second: round(perSecond * bytes / 1e9),
    ...copyRates(copyRate),
    ...sharesOfCopy(perSecond * bytes, copyRate),
    ...profile ? { milliseconds: await operations(engine) } : {},
  }));
}

/** Tokens per second of a generation after its prompt, choosing each as a greedy generation does. */
async function decode(engine: Engine, count: number): Promise<number> {
  await engine.beginGeneration(PROMPT.length + count);
  let logits = await engine.feed(PROMPT);
  const start = performance.now();
  for (let i = 0; i < count; i++) {
    const token = sampleToken(logits, { temperature: 0, topP: 1 }, 0);
    logits = await engine.feed(Uint32Array.of(token));
  }
  const seconds = (performance.now() - start) / 1000;
  await engine.endGeneration();
  return count / seconds;
}

/** Milliseconds per token of every operation and shape, the longest first; `null` where they are not timed. */
async function operations(engine: Engine): Promise<Record<string, number | null>> {
  await engine.switchProfile(true);
  await decode(engine, tokens);
  const { operations } = await engine.readProfile();
  return Object.fromEntries(
    sumByShape(operations).map(({ operation, seconds }) => [
      operation,
      seconds && round(1000 * seconds / tokens),
    ]),
  );
}

/** Bytes per second that all threads together read and write while they copy. */
async function measureCopyRate(engine: Engine): Promise<number> {
  const peaks = await measurePeaks(engine);
  if (peaks === null) {
    throw new MeasurementFailure("The CPU device has not measured how fast it copies");
  }
  return peaks.bytesPerSecond;
}
