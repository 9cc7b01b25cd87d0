/** Checks a folder of tiny-model goldens: logits, losses, hidden states, greedy tokens and every weight's gradient. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Batch, Engine } from "../../src/engine/engine.ts";
import { IGNORE } from "../../src/engine/protocol.gen.ts";
import { SafetensorsFile } from "../../src/io/safetensors.ts";
import { inferenceUse, loadModel } from "../../src/model/load.ts";
import { openModelSource } from "../../src/model/source.ts";
import {
  type CheckResult,
  Deviations,
  largestDifference,
  main,
  numbersOf,
  relativeDifference,
} from "./check.ts";
import { withConfigSpelling } from "./config_spelling.ts";

/** Fair f32 bounds, as the goldens' README states them. */
const BOUNDS = { logits: 5e-5, loss: 1e-5, hidden: 5e-5, gradient: 2e-5 };

interface Expected {
  cases: Record<string, { shape: [number, number]; mean_loss?: number }>;
  greedy: { prompt: number[]; new_tokens: number[] };
}

/** Checks every case under both spellings of config.json. */
export async function checkModel(engine: Engine, folder: string): Promise<CheckResult> {
  const deviations = new Deviations();
  const expected = JSON.parse(readFileSync(join(folder, "expected.json"), "utf8")) as Expected;
  using tensors = SafetensorsFile.open(join(folder, "expected.safetensors"));
  const config = JSON.parse(readFileSync(join(folder, "config.json"), "utf8"));
  const padToken = config.pad_token_id as number | null;
  const cases = Object.keys(expected.cases).map((name) => Case.read(tensors, name));
  const lengths = cases.map(({ batch }) => batch.tokens.length);
  const use = inferenceUse(Math.max(...lengths, expected.greedy.prompt.length));
  for (const spelling of ["config.json", "config.v4.json"]) {
    await withConfigSpelling(folder, spelling, async (modelFolder) => {
      using source = openModelSource(modelFolder);
      await loadModel(engine, source, use);
      for (const example of cases) {
        await checkForward(engine, example, expected, deviations);
      }
      await checkGreedy(engine, expected, deviations);
      await loadModel(engine, source, { ...use, trainable: "weights" });
      for (const example of cases) {
        await checkGradients(engine, example, padToken, deviations);
      }
    });
  }
  return { deviations, details: { cases: Object.keys(expected.cases) } };
}

/** One padded batch of the goldens, and the same as a packed micro-batch without its padding. */
class Case {
  private constructor(
    readonly tensors: SafetensorsFile,
    readonly name: string,
    readonly batch: Batch,
    /** The padded position of each packed token. */
    readonly positions: number[],
    readonly length: number,
  ) {}

  static read(tensors: SafetensorsFile, name: string): Case {
    const [rows = 0, length = 0] = tensors.entry(`${name}.input_ids`).shape;
    const ids = numbersOf(tensors, `${name}.input_ids`);
    const mask = numbersOf(tensors, `${name}.attention_mask`);
    const labelled = tensors.tensors.has(`${name}.labels`);
    const labels = labelled ? numbersOf(tensors, `${name}.labels`) : ids.map(() => -100);
    const positions = ids.flatMap((_, i) => mask[i] === 1 ? [i] : []);
    const isLast = (i: number) => (i + 1) % length === 0 || mask[i + 1] === 0;
    const targets = positions.map((i) => isLast(i) ? -100 : labels[i + 1]!);
    const ends = Array.from(
      { length: rows },
      (_, row) => positions.filter((i) => i < (row + 1) * length).length,
    );
    const batch = {
      tokens: Uint32Array.from(positions, (i) => ids[i]!),
      targets: Uint32Array.from(targets, (target) => target === -100 ? IGNORE : target),
      cuSeqlens: Uint32Array.from([0, ...ends]),
    };
    return new Case(tensors, name, batch, positions, length);
  }

  /** The rows of an expected `[B, T, width]` tensor that belong to packed tokens. */
  expectedRows(what: string, width: number): number[] {
    const all = numbersOf(this.tensors, `${this.name}.${what}`);
    return this.positions.flatMap((i) => all.slice(i * width, (i + 1) * width));
  }

  has(what: string): boolean {
    return this.tensors.tensors.has(`${this.name}.${what}`);
  }

  /** The width of an expected tensor's rows. */
  widthOf(what: string): number {
    return this.tensors.entry(`${this.name}.${what}`).shape.at(-1)!;
  }
}

async function checkForward(
  engine: Engine,
  example: Case,
  expected: Expected,
  deviations: Deviations,
): Promise<void> {
  const { batch, name } = example;
  const logits = (await engine.forward(batch, "logits")).output;
  const wanted = example.expectedRows("logits", example.widthOf("logits"));
  deviations.noteArrays(`${name}.logits`, logits, wanted, BOUNDS.logits);
  if (example.has("token_loss")) {
    const { loss, output } = await engine.forward(batch, "tokenLosses");
    // Token losses are [B, T - 1]; the last token of a row has none.
    const columns = example.length - 1;
    const losses = numbersOf(example.tensors, `${name}.token_loss`);
    const rows = example.positions.map((i) => {
      const column = i % example.length;
      return column === columns ? 0 : losses[Math.floor(i / example.length) * columns + column]!;
    });
    deviations.noteArrays(`${name}.token_loss`, output, rows, BOUNDS.loss);
    const mean = loss.sum! / loss.targetTokens;
    deviations.note(
      `${name}.mean_loss`,
      Math.abs(mean - expected.cases[name]!.mean_loss!),
      BOUNDS.loss,
    );
  }
  if (example.has("hidden.0")) {
    const states = (await engine.forward(batch, "hiddenStates")).output;
    const size = batch.tokens.length * example.widthOf("hidden.0");
    for (let layer = 0; example.has(`hidden.${layer}`); layer++) {
      const wanted = example.expectedRows(`hidden.${layer}`, example.widthOf("hidden.0"));
      const state = states.subarray(layer * size, (layer + 1) * size);
      deviations.noteArrays(`${name}.hidden`, state, wanted, BOUNDS.hidden);
    }
  }
}

async function checkGreedy(engine: Engine, { greedy }: Expected, deviations: Deviations) {
  await engine.beginGeneration(greedy.prompt.length + greedy.new_tokens.length);
  let logits = await engine.feed(Uint32Array.from(greedy.prompt));
  const tokens: number[] = [];
  for (const _ of greedy.new_tokens) {
    const token = logits.indexOf(Math.max(...logits));
    tokens.push(token);
    logits = await engine.feed(Uint32Array.of(token));
  }
  await engine.endGeneration();
  deviations.note("greedy", largestDifference(tokens, greedy.new_tokens), 0);
}

/**
 * The gradient of the mean loss in every weight matrix and vector.
 *
 * torch never trains the embedding of the padding token, even where it stands in the text; packed batches have no
 * padding, so here it is a token like any other, and its row is left out of the comparison.
 */
async function checkGradients(
  engine: Engine,
  example: Case,
  padToken: number | null,
  deviations: Deviations,
) {
  const prefix = `${example.name}.grad.`;
  const names = [...example.tensors.tensors.keys()].filter((name) => name.startsWith(prefix));
  if (names.length === 0) return;
  const targets = example.batch.targets.filter((target) => target !== IGNORE).length;
  await engine.clearGrads();
  await engine.forwardBackward(example.batch, 1 / targets);
  for (const name of names) {
    const tensor = name.slice(prefix.length);
    const actual = Array.from(await engine.readState(tensor, "grads"));
    const expected = numbersOf(example.tensors, name);
    if (tensor === "model.embed_tokens.weight" && padToken !== null) {
      const width = example.tensors.entry(name).shape[1]!;
      for (const rows of [actual, expected]) rows.splice(padToken * width, width);
    }
    const difference = relativeDifference(actual, expected);
    deviations.note(`${example.name}.grad`, difference, BOUNDS.gradient);
  }
}

if (import.meta.main) await main("check_model", checkModel);
