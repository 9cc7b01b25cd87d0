/**
 * Makes `examples/demo/`: pre-trains the demo's model from random weights on its base skills, and writes the examples of
 * the skill that the demo teaches. Needs the native engine (`deno task build`) and under ten minutes on two cores:
 *
 * `deno run -A tools/make_demo.ts [FOLDER]`
 */

import { join } from "node:path";
import { open, runConfig, type TrainEvent, trainRun } from "../mod.ts";
import { makeExamples } from "./make_demo/data.ts";
import { toHalf } from "./make_demo/half.ts";
import { modelFiles } from "./make_demo/model_files.ts";
import { BASE_SKILLS, NEW_SKILL } from "./make_demo/skills.ts";

const WEIGHTS = "model.safetensors";
const SEED = 1;
const BASE_EXAMPLES = 60_000;
const TRAIN_EXAMPLES = 4_000;
const HELD_OUT_EXAMPLES = 200;

/** The files of the model, but for its weights, by name. */
export function demoModelFiles(): Map<string, string> {
  return modelFiles([...BASE_SKILLS, NEW_SKILL].map(({ instruction }) => instruction));
}

/** The examples that the demo trains and is measured on, by name of their file. */
export function demoData(): Map<string, string> {
  const used = new Set<string>();
  return new Map([
    ["train.jsonl", makeExamples(TRAIN_EXAMPLES, [NEW_SKILL], SEED, used)],
    ["heldout.jsonl", makeExamples(HELD_OUT_EXAMPLES, [NEW_SKILL], SEED + 1, used)],
  ]);
}

async function makeDemo(folder: string): Promise<void> {
  const work = await Deno.makeTempDir({ prefix: "make_demo_" });
  try {
    const weights = await Deno.readFile(join(await pretrain(work), WEIGHTS));
    await using engine = await open({ host: "native" });
    const half = await toHalf(engine, weights);
    await writeFiles(join(folder, "model"), demoModelFiles());
    await Deno.writeFile(join(folder, "model", WEIGHTS), half.stream());
    await writeFiles(folder, demoData());
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

/** Pre-trains the base model in a folder; returns where it is saved, in f32. */
async function pretrain(work: string): Promise<string> {
  const untrained = join(work, "untrained");
  const [data, evalData] = [join(work, "base.jsonl"), join(work, "base_heldout.jsonl")];
  await writeFiles(untrained, demoModelFiles());
  await Deno.writeTextFile(data, makeExamples(BASE_EXAMPLES, BASE_SKILLS, SEED + 2));
  await Deno.writeTextFile(evalData, makeExamples(HELD_OUT_EXAMPLES, BASE_SKILLS, SEED + 3));
  const config = runConfig({
    model: untrained,
    init: "random",
    method: "full",
    data: [data],
    evalData: [evalData],
    out: join(work, "run"),
    seed: SEED,
    host: "native",
    lr: 3e-3,
    lrSchedule: "cosine",
    warmupRatio: 0.1,
    epochs: 2,
    maxLength: 64,
    microBatchTokens: 4096,
    evalEvery: 200,
    evalGenerate: HELD_OUT_EXAMPLES,
    evalMaxNewTokens: 32,
    saveEvery: 0,
  });
  const { output } = await trainRun(config, { onEvent: show });
  if (output === undefined) throw new Error("the run saved no model");
  return output;
}

async function writeFiles(folder: string, files: ReadonlyMap<string, string>): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  for (const [name, text] of files) await Deno.writeTextFile(join(folder, name), text);
}

function show(event: TrainEvent): void {
  if (event.type === "eval") {
    console.log(`step ${event.step}: held-out exact match ${event.exactMatch}`);
  } else if (event.type === "step" && event.step % 20 === 0) {
    console.log(`step ${event.step}/${event.totalSteps}: loss ${event.loss.toFixed(3)}`);
  }
}

if (import.meta.main) await makeDemo(Deno.args[0] ?? "examples/demo");
