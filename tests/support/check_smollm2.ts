/** Checks a folder of goldens of a real GGUF model: tokenizer and chat template, losses, logits, greedy continuations. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { loadTokenizer, type Tokenizer } from "../../src/data/tokenizer.ts";
import type { Batch, Engine } from "../../src/engine/engine.ts";
import { IGNORE } from "../../src/engine/protocol.gen.ts";
import { SpielError } from "../../src/errors.ts";
import { SafetensorsFile } from "../../src/io/safetensors.ts";
import { inferenceUse, loadModel } from "../../src/model/load.ts";
import { openModelSource } from "../../src/model/source.ts";
import { type CheckResult, Deviations, main, numbersOf } from "./check.ts";
import { checkTokenizer, goldenTokenizer } from "./check_tokenizer.ts";

/** Fair f32 bounds, as the goldens' README states them; a token's loss is a difference of logits. */
const BOUNDS = { logits: 2e-3, tokenLoss: 2e-3, meanLoss: 1e-4 };

/** Where the two largest logits are closer than this, either token is right. */
const CLEAR_GAP = 0.01;

/** The stride of the logits in `last_logits_every_64th`. */
const STRIDE = 64;

interface Text {
  text: string;
  ids: number[];
  mean_loss: number;
  top20_ids: number[];
  top20_logits: number[];
  logsumexp_last: number;
}

interface Continuation {
  prompt: string;
  prompt_ids: number[];
  new_ids: number[];
  new_text: string;
  top1_minus_top2: number[];
}

interface Expected {
  texts: Text[];
  greedy: Continuation[];
}

/** Checks everything in the folder against the GGUF file `options.model`. */
export async function checkSmollm2(
  engine: Engine,
  folder: string,
  { model }: { model?: string },
): Promise<CheckResult> {
  if (model === undefined) {
    throw new SpielError("usage", "check_smollm2 needs --model, the GGUF file of the goldens");
  }
  const deviations = new Deviations();
  const expected = JSON.parse(readFileSync(join(folder, "expected.json"), "utf8")) as Expected;
  const differences = [
    ...compareTokenizer(loadTokenizer(model), folder, expected, "GGUF", deviations),
    ...compareTokenizer(await goldenTokenizer(folder), folder, expected, "files", deviations),
  ];
  using tensors = SafetensorsFile.open(join(folder, "expected.safetensors"));
  using source = openModelSource(model);
  const longest = Math.max(...expected.texts.map(({ ids }) => ids.length));
  await loadModel(engine, source, inferenceUse(longest));
  for (const [index, text] of expected.texts.entries()) {
    await checkText(engine, text, `text${index}`, tensors, deviations);
  }
  for (const continuation of expected.greedy) {
    await checkGreedy(engine, continuation, deviations);
  }
  const details = { texts: expected.texts.length, greedy: expected.greedy.length, differences };
  return { deviations, details };
}

/** Counts what a tokenizer makes different, and says each in a line. */
function compareTokenizer(
  tokenizer: Tokenizer,
  folder: string,
  { texts, greedy }: Expected,
  origin: string,
  deviations: Deviations,
): string[] {
  const { differences } = checkTokenizer(tokenizer, folder);
  const compare = (what: string, found: string, wanted: string) => {
    if (found !== wanted) differences.push(`${what}: ${found} instead of ${wanted}`);
  };
  const encode = (text: string) => tokenizer.encode(text, { addSpecialTokens: false }).join();
  for (const { text, ids } of texts) compare("ids of a text", encode(text), ids.join());
  for (const { prompt, prompt_ids, new_ids, new_text } of greedy) {
    compare("ids of a prompt", encode(prompt), prompt_ids.join());
    compare("text of a continuation", tokenizer.decode(new_ids), new_text);
  }
  deviations.note(`tokenizer of the ${origin}`, differences.length, 0);
  return differences.map((line) => `tokenizer of the ${origin}, ${line}`);
}

async function checkText(
  engine: Engine,
  { ids, mean_loss, top20_ids, top20_logits, logsumexp_last }: Text,
  name: string,
  tensors: SafetensorsFile,
  deviations: Deviations,
): Promise<void> {
  const batch: Batch = {
    tokens: Uint32Array.from(ids),
    targets: Uint32Array.from([...ids.slice(1), IGNORE]),
    cuSeqlens: Uint32Array.of(0, ids.length),
  };
  const { loss, output: tokenLosses } = await engine.forward(batch, "tokenLosses");
  const wantedLosses = numbersOf(tensors, `${name}.token_loss`);
  deviations.noteArrays("token_loss", tokenLosses.slice(0, -1), wantedLosses, BOUNDS.tokenLoss);
  const mean = (loss.sum ?? NaN) / loss.targetTokens;
  deviations.note("mean_loss", Math.abs(mean - mean_loss), BOUNDS.meanLoss);

  const { output } = await engine.forward(batch, "logits");
  const last = output.subarray(output.length - output.length / ids.length);
  const sparse = last.filter((_, token) => token % STRIDE === 0);
  const wantedSparse = numbersOf(tensors, `${name}.last_logits_every_64th`);
  deviations.noteArrays("logits", sparse, wantedSparse, BOUNDS.logits);
  const atTop = top20_ids.map((token) => last[token] ?? NaN);
  deviations.noteArrays("top20_logits", atTop, top20_logits, BOUNDS.logits);
  // The largest of all, so that no other token may stand above the expected ones.
  const largest = last.toSorted().reverse().subarray(0, top20_logits.length);
  deviations.noteArrays("top20_logits", largest, top20_logits, BOUNDS.logits);
  const difference = Math.abs(logSumExp(last) - logsumexp_last);
  deviations.note("logsumexp", difference, BOUNDS.logits);
}

/** Continues a prompt with the expected tokens, and counts where another one had the largest logit. */
async function checkGreedy(
  engine: Engine,
  { prompt_ids, new_ids, top1_minus_top2 }: Continuation,
  deviations: Deviations,
): Promise<void> {
  await engine.beginGeneration(prompt_ids.length + new_ids.length);
  let logits = await engine.feed(Uint32Array.from(prompt_ids));
  let wrong = 0;
  for (const [index, token] of new_ids.entries()) {
    const isClear = (top1_minus_top2[index] ?? 0) > CLEAR_GAP;
    if (isClear && logits[token] !== largestOf(logits)) wrong++;
    logits = await engine.feed(Uint32Array.of(token));
  }
  await engine.endGeneration();
  deviations.note("greedy", wrong, 0);
}

function logSumExp(values: Float32Array): number {
  const largest = largestOf(values);
  return largest + Math.log(values.reduce((sum, value) => sum + Math.exp(value - largest), 0));
}

function largestOf(values: Float32Array): number {
  return values.reduce((most, value) => Math.max(most, value), -Infinity);
}

if (import.meta.main) await main("check_smollm2", checkSmollm2);
