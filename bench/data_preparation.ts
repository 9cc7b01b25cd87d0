/**
 * Measures how a run of one step begins on a million rows (300 MB), with nothing in the cache and with all of it, and
 * prints one JSON line each.
 *
 * `data_preparation.ts --model PATH [--rows N] [--workers N] [--repetitions N]`
 *
 * Each run is a process of its own, on the CPU device. `preparationBytes` is its peak memory before the weights are
 * loaded, and `aboveModelBytes` that of the whole run, less what the same run on a thousand rows takes: what there is
 * besides program, model and step.
 */

import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { denoFiles } from "../src/io/files.ts";
import { openModelSource } from "../src/model/source.ts";
import { trainRun } from "../src/train/run.ts";
import { runConfig } from "../src/train/run_config.ts";
import { commandLine, count, telling } from "./flags.ts";
import { MeasurementFailure } from "./measurement.ts";
import { peakMemory } from "./peak_memory.ts";
import { median } from "./statistics.ts";

const { model, data, rows, workers, repetitions } = commandLine(import.meta, () => {
  const { values: flags } = parseArgs({
    options: {
      model: { type: "string" },
      rows: { type: "string", default: "1000000" },
      workers: { type: "string", default: "2" },
      repetitions: { type: "string", default: "3" },
      /** One run, in a process of its own: the data file. */
      data: { type: "string" },
    },
  });
  if (flags.model === undefined) throw new RangeError("Expected --model");
  return {
    ...{ model: flags.model, data: flags.data },
    rows: count("--rows", flags.rows),
    workers: count("--workers", flags.workers),
    repetitions: count("--repetitions", flags.repetitions),
  };
});

const FEW_ROWS = 1000;
/** Bytes of a row with its field names and quotes. */
const [PROMPT_BYTES, COMPLETION_BYTES] = [115, 145];
const SEED = 1;

/** What one run came to. */
interface Measured {
  readonly tokens: number;
  /** Until all data was tokenised, and its first epoch planned. */
  readonly preparedS: number;
  /** Of all cores, by then: what does not depend on a machine's other work. */
  readonly processorS: number;
  /** Peak memory by then. */
  readonly preparedPeakBytes: number;
  /** Until the first step was done, the model's loading included. */
  readonly firstStepS: number;
  /** That of the whole run. */
  readonly peakBytes: number;
}

await telling(async () => {
  if (data === undefined) await measureAll();
  else console.log(JSON.stringify(await measure(data)));
});

async function measureAll(): Promise<void> {
  openModelSource(model)[Symbol.dispose]();
  const work = await Deno.makeTempDir({ prefix: "spiel_data_" });
  try {
    const few = join(work, "few.jsonl");
    const many = join(work, "many.jsonl");
    writeRows(few, FEW_ROWS);
    writeRows(many, rows);
    const base = await run(few, join(work, "cache"));
    const cold: Measured[] = [];
    const warm: Measured[] = [];
    for (let i = 0; i < repetitions; i++) {
      const cache = join(work, `cache${i}`);
      cold.push(await run(many, cache));
      warm.push(await run(many, cache));
      await denoFiles.remove(cache);
    }
    const { size } = Deno.statSync(many);
    for (const [name, runs] of Object.entries({ cold, warm })) {
      const preparedS = median(runs.map((run) => run.preparedS));
      const peakBytes = median(runs.map((run) => run.peakBytes));
      console.log(JSON.stringify({
        ...{ cache: name, rows, bytes: size, workers },
        tokens: runs[0]!.tokens,
        ...{ preparedS, tokensPerSecond: Math.round(runs[0]!.tokens / preparedS) },
        processorS: median(runs.map((run) => run.processorS)),
        firstStepS: median(runs.map((run) => run.firstStepS)),
        preparationBytes: median(runs.map((run) => run.preparedPeakBytes)) - base.preparedPeakBytes,
        ...{ peakBytes, aboveModelBytes: peakBytes - base.peakBytes },
      }));
    }
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

async function run(data: string, cache: string): Promise<Measured> {
  const { stdout, success } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "--no-check", import.meta.filename!],
      ...["--model", model, "--data", data, "--workers", String(workers)],
    ],
    env: { SPIEL_CACHE: cache },
    stderr: "inherit",
  }).output();
  if (!success) throw new MeasurementFailure(`The run on ${data} failed`);
  const measured = new TextDecoder().decode(stdout);
  console.error(measured.trimEnd());
  return JSON.parse(measured);
}

async function measure(data: string): Promise<Measured> {
  const out = await Deno.makeTempDir({ prefix: "spiel_data_run_" });
  const start = performance.now();
  const since = () => (performance.now() - start) / 1000;
  let prepared = { tokens: 0, preparedS: 0, processorS: 0, preparedPeakBytes: 0 };
  let firstStepS = 0;
  try {
    const config = runConfig({
      ...{ model, data: [data], out: join(out, "run"), maxSteps: 1, saveEvery: 0, evalEvery: 0 },
      ...{ dataWorkers: workers, maxLength: 512, seed: SEED, warmupRatio: 0 },
      ...{ microBatchTokens: 512, device: "cpu" },
    });
    await trainRun(config, {
      onEvent(event) {
        if (event.type === "data") {
          const { user, system } = process.cpuUsage();
          prepared = {
            ...{ tokens: event.tokens, preparedS: since(), processorS: (user + system) / 1e6 },
            preparedPeakBytes: peakMemory()!,
          };
        }
        if (event.type === "step") firstStepS = since();
      },
    });
    return { ...prepared, firstStepS, peakBytes: peakMemory()! };
  } finally {
    await Deno.remove(out, { recursive: true });
  }
}

/** Rows of words drawn from this project's documents, with a number now and then; the same ones every time. */
function writeRows(path: string, rows: number): void {
  const words = ["README.md", "docs/guide.md", "docs/method.md", "docs/kernels.md", "docs/hub.md"]
    .flatMap((name) => Deno.readTextFileSync(new URL(`../${name}`, import.meta.url)).split(/\s+/))
    .filter((word) => /^[\w',.;:()-]+$/.test(word));
  let state = SEED;
  const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  const word = () =>
    random() < 0.03
      ? String(Math.floor(random() * 1e5))
      : words[Math.floor(random() * words.length)]!;
  const text = (bytes: number) => {
    let text = word();
    while (text.length < bytes) text += ` ${word()}`;
    return text;
  };
  const encoder = new TextEncoder();
  using file = Deno.openSync(path, { write: true, create: true, truncate: true });
  for (let row = 0, lines = ""; row < rows; row++) {
    lines += `${
      JSON.stringify({ prompt: text(PROMPT_BYTES), completion: text(COMPLETION_BYTES) })
    }\n`;
    if (row % 1000 !== 999 && row + 1 < rows) continue;
    const bytes = encoder.encode(lines);
    for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
    lines = "";
  }
}
