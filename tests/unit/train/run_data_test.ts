/** The data of a run: how long it is, and what is told of it. */

import assert from "node:assert/strict";
import { dirname } from "node:path";
import { gzipSync } from "node:zlib";
import { loadDataset } from "../../../src/data/load_dataset.ts";
import { runConfig } from "../../../src/train/run_config.ts";
import { trainerOptions } from "../../../src/train/options.ts";
import { checkData, dataWarnings, loadRunData, type RunData } from "../../../src/train/run_data.ts";
import type { RunOptions } from "../../../src/train/run_config.ts";
import { byteTokenizer } from "../../support/byte_tokenizer.ts";
import { withCache } from "../../support/cache.ts";
import { withTempDir } from "../../support/temp_dir.ts";

/** Ten texts, two of which fit a micro-batch: five micro-batches in every epoch. */
async function load(dir: string, options: Partial<RunOptions>, tokenizer = byteTokenizer()) {
  const path = `${dir}/data.jsonl`;
  const line = JSON.stringify({ prompt: "question", completion: "answer" });
  Deno.writeTextFileSync(path, `${line}\n`.repeat(10));
  const { config } = runConfig({
    ...{ model: "unused", data: [path], maxLength: 64, microBatchTokens: 128 },
    ...{ microBatchExamples: 2, ...options },
  });
  const data = await loadRunData(config, { ...config, mixture: undefined }, tokenizer, {
    onEvent: () => {},
  });
  return { config, data };
}

const length = ({ totalSteps, totalMicroBatches }: RunData) => [totalSteps, totalMicroBatches];

Deno.test("epochs end where they should, in a shorter last step if need be", () =>
  withTempDir(async (dir) => {
    const lengthOf = async (options: Partial<RunOptions>) =>
      length((await load(dir, options)).data);
    assert.deepEqual(await lengthOf({ epochs: 1 }), [5, 5]);
    assert.deepEqual(await lengthOf({ epochs: 3, gradientAccumulationSteps: 4 }), [4, 15]);
    assert.deepEqual(await lengthOf({ epochs: 0.5, gradientAccumulationSteps: 2 }), [2, 3]);
    assert.deepEqual(await lengthOf({ epochs: 2.2 }), [11, 11]);
    assert.deepEqual(await lengthOf({ maxSteps: 7, gradientAccumulationSteps: 4 }), [7, 28]);
  }));

Deno.test("a warm-up that outlasts the epochs is refused once these are counted", () =>
  withTempDir(async (dir) => {
    const optionsOf = async (warmupSteps: number) => {
      const { config, data } = await load(dir, { epochs: 2, warmupSteps });
      return trainerOptions(config, data, 300).learningRate;
    };
    assert.equal((await optionsOf(9)).warmupSteps, 9);
    await assert.rejects(optionsOf(10), {
      kind: "usage",
      message:
        "warmup_steps is 10; expected fewer than the 10 steps that epochs 2 of this data are",
    });
  }));

Deno.test("answers that nothing ends and examples that are cut are told once, for training and held-out data together", () =>
  withTempDir(async (dir) => {
    const chatTemplate =
      "{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}";
    const tokenizer = byteTokenizer({ chatTemplate });
    const source = { config: { max_position_embeddings: 512 } } as never;
    const { data } = await load(dir, {}, tokenizer);
    const warnings = dataWarnings([data.train, data.train], 64, source);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]!, /ends answers with no special token/);
    const { train } = (await load(dir, { maxLength: 30 }, tokenizer)).data;
    const cut = dataWarnings([train, train], 30, source);
    assert.equal(cut.length, 2);
    assert.match(cut[1]!, /max_length 30 cuts 10 of 10 examples/);
    assert.deepEqual(dataWarnings([(await load(dir, {})).data.train], 64, source), []);
  }));

Deno.test("what was unpacked to be looked at is not unpacked again, and keeps its name", () =>
  withCache(async (dir) => {
    const name = `${dir}/data.csv.gz`;
    Deno.writeFileSync(name, gzipSync("text\none\n"));
    const { files, data } = await checkData({ data: [name] }, {});
    assert.equal(files[0]!.path, name);
    assert.equal(dirname(data[0]!.path), `${dir}/unpacked`);
    Deno.removeSync(name);
    const dataset = await loadDataset({ paths: data, tokenizer: byteTokenizer(), maxLength: 64 });
    assert.equal(dataset.origin(0), `${name}:2`);
  }));
