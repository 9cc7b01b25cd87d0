/**
 * Measures how long a training command takes from its process's start to the beginning of its first step, and prints one
 * JSON line.
 *
 * `start_bench.ts --model PATH --data FILE [--map MAP] [--rows N] [--repeats N] [--host native|wasm]`
 *
 * Each time is that of a process of its own, which trains one step on the CPU on the first rows of the data. The first
 * one, which fills the page cache, does not count.
 */

import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { readFailure } from "../src/io/random_access.ts";
import { openModelSource } from "../src/model/source.ts";
import { commandLine, count, oneOf, telling } from "./flags.ts";
import { HOSTS, MeasurementFailure } from "./measurement.ts";
import { median, round } from "./statistics.ts";

const TRAIN = new URL("../cli/train.ts", import.meta.url).href;

const { model, data, rows, repeats, host, map } = commandLine(import.meta, () => {
  const { values: flags } = parseArgs({
    options: {
      model: { type: "string" },
      data: { type: "string" },
      map: { type: "string", default: "prompt=question,completion=answer" },
      rows: { type: "string", default: "300" },
      repeats: { type: "string", default: "5" },
      host: { type: "string", default: "native" },
    },
  });
  const { model, data, map } = flags;
  if (model === undefined || data === undefined) {
    throw new RangeError("Expected --model and --data, a GGUF file and a file of JSON lines");
  }
  return {
    ...{ model, data, map },
    rows: count("--rows", flags.rows),
    repeats: count("--repeats", flags.repeats),
    host: oneOf("--host", flags.host, HOSTS),
  };
});

await telling(measure);

async function measure(): Promise<void> {
  openModelSource(model)[Symbol.dispose]();
  const work = await Deno.makeTempDir({ prefix: "spiel_start_" });
  try {
    const few = join(work, "few.jsonl");
    const lines = (await textOf(data)).split("\n").slice(0, rows);
    await Deno.writeTextFile(few, lines.join("\n"));
    const seconds: number[] = [];
    for (let i = 0; i <= repeats; i++) {
      seconds.push(await secondsToFirstStep(few, join(work, `${i}`)));
    }
    const warm = seconds.slice(1);
    console.log(JSON.stringify({
      ...{ model: basename(model), rows: lines.length, host, repeats },
      seconds: round(median(warm)),
      fastest_seconds: round(Math.min(...warm)),
      slowest_seconds: round(Math.max(...warm)),
    }));
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

async function textOf(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    throw readFailure(path, error);
  }
}

/** Runs the command; its first step begins where the time of the run, as its line has it, begins. */
async function secondsToFirstStep(data: string, out: string): Promise<number> {
  const begun = performance.now();
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--allow-all", TRAIN, "--json", "--model", model, "--data", data, "--map", map],
      ...["--out", out, "--host", host, "--device", "cpu", "--max-steps", "1", "--save-every", "0"],
      ...["--max-length", "512", "--micro-batch-tokens", "512"],
    ],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const said = new Response(child.stderr).text();
  let seconds: number | undefined;
  let text = "";
  for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
    const at = performance.now();
    const ended = (text += part).split("\n");
    text = ended.pop()!;
    const step = ended.map((line) => JSON.parse(line)).find(({ event }) => event === "step");
    seconds ??= step && (at - begun) / 1000 - step.elapsed_s;
  }
  const { success } = await child.status;
  if (!success || seconds === undefined) {
    throw new MeasurementFailure(`The run failed: ${await said}`);
  }
  return seconds;
}
