/**
 * Measures one configuration in this process, which does nothing else, so that its peak memory is the workload's; the
 * bench starts it. Takes a `MeasureRequest` as JSON and prints a `Measurement` as JSON.
 */

import type { Engine } from "../src/engine/engine.ts";
import { open } from "../src/engine/open.ts";
import { isSpielError } from "../src/errors.ts";
import { openModelSource } from "../src/model/source.ts";
import { StepProfiler } from "../src/train/profile.ts";
import { copyRates, sharesOfCopy, weightBytesPerToken } from "./copy_rate.ts";
import type { Measurement, MeasureRequest } from "./measurement.ts";
import { peakMemory } from "./peak_memory.ts";
import { median, round } from "./statistics.ts";
import { PRODUCT } from "./step_shares.ts";
import { prepare, type Prepared } from "./workload.ts";

if (import.meta.main) {
  try {
    console.log(JSON.stringify(await measure(JSON.parse(Deno.args[0]!))));
  } catch (error) {
    if (!isSpielError(error)) throw error;
    console.error(error.message);
    Deno.exit(1);
  }
}

async function measure(request: MeasureRequest): Promise<Measurement> {
  const { configuration: { name, quantize, workload }, model, steps, ...options } = request;
  await using engine = await open({ ...options, device: "cpu" });
  using source = openModelSource(model);
  const residentBytes = Deno.memoryUsage().rss;
  const begun = performance.now();
  const base = { precision: options.precision, quantize };
  const prepared = await prepare(engine, source, workload, base);
  const preparationSeconds = (performance.now() - begun) / 1000;
  const times: number[] = [];
  for (let i = 0; i < steps; i++) times.push(await prepared.run());
  // The probes of a profile take memory of their own.
  const peakBytes = peakMemory();
  const seconds = median(times);
  return {
    name,
    ...{ host: engine.info.host, adapter: engine.info.adapter, threads: engine.info.threads },
    ...{ precision: prepared.plan.precision, steps },
    step_seconds: round(seconds),
    fastest_step_seconds: round(Math.min(...times)),
    slowest_step_seconds: round(Math.max(...times)),
    tokens_per_second: round(prepared.tokens / seconds),
    ...prepared.candidateSeconds === undefined
      ? {}
      : { candidate_step_seconds: round(prepared.candidateSeconds) },
    preparation_seconds: round(preparationSeconds),
    ...await profiled(
      engine,
      prepared,
      workload.task === "decode" ? weightBytesPerToken(source) : undefined,
    ),
    resident_bytes_before: residentBytes,
    plan_bytes: prepared.plan.memory.totalBytes,
    peak_bytes: peakBytes,
  };
}

/**
 * One more run, under a profile: what products are of it, and what memory is.
 *
 * @param bytesPerToken Those that each of its tokens has to read; absent where tokens are computed together.
 */
async function profiled(engine: Engine, { tokens, run }: Prepared, bytesPerToken?: number) {
  const profiler = new StepProfiler(engine, 1);
  let seconds = 0;
  await profiler.measure(async () => {
    seconds = await run();
  });
  const { operations, peaks } = await profiler.report();
  const products = operations.filter(({ operation }) => PRODUCT.test(operation));
  const sum = (amount: "seconds" | "flops") =>
    products.reduce((sum, row) => sum + (row[amount] ?? 0), 0);
  return {
    product_share: round(sum("seconds") / seconds),
    product_gflops_per_second: round(sum("flops") / sum("seconds") / 1e9),
    peak_gflops_per_second: peaks && round(peaks.flopsPerSecond / 1e9),
    peak_bf16_gflops_per_second: peaks?.bf16FlopsPerSecond
      ? round(peaks.bf16FlopsPerSecond / 1e9)
      : null,
    ...peaks && copyRates(peaks.bytesPerSecond),
    ...bytesPerToken !== undefined && peaks &&
      sharesOfCopy(bytesPerToken * tokens / seconds, peaks.bytesPerSecond),
  };
}
