/** Models with random weights: the files are good, and a step of SpIEL with its reselection runs on them. */

import assert from "node:assert/strict";
import { loadTokenizer } from "../../src/data/tokenizer.ts";
import { GgufFile } from "../../src/io/gguf.ts";
import { inferenceUse, loadModel } from "../../src/model/load.ts";
import { openModelSource } from "../../src/model/source.ts";
import { trainRun } from "../../src/train/run.ts";
import { runConfig } from "../../src/train/run_config.ts";
import { main, makeSynthetic } from "../../tools/make_synthetic.ts";
import { MODEL_SHAPES } from "../../tools/make_synthetic/shapes.ts";
import { engineTest, HOSTED_DEVICES } from "../support/hosts.ts";
import { withTempDir } from "../support/temp_dir.ts";

Deno.test("synthetic models: a shape and a seed make the file", async () => {
  await withTempDir(async (dir) => {
    const file = async (name: string, seed: number) => {
      await makeSynthetic(`${dir}/${name}.gguf`, "tiny", seed);
      return Deno.readFileSync(`${dir}/${name}.gguf`);
    };
    const first = await file("first", 1);
    assert.deepEqual(await file("again", 1), first);
    assert.notDeepEqual(await file("other", 2), first);
    using source = openModelSource(`${dir}/first.gguf`);
    // The file holds single precision.
    const rms_norm_eps = Math.fround(1e-5);
    assert.deepEqual(source.config, { ...MODEL_SHAPES["tiny"], rms_norm_eps });
    using gguf = GgufFile.open(`${dir}/first.gguf`);
    assert.deepEqual(
      new Set([...gguf.tensors.values()].map(({ type, shape }) => `${type.name} ${shape.length}`)),
      new Set(["Q4_0 2", "F32 1"]),
    );
    const tokenizer = loadTokenizer(`${dir}/first.gguf`);
    assert.equal(
      tokenizer.decode(tokenizer.encode("Où? 12"), { skipSpecialTokens: true }),
      "Où? 12",
    );
  });
});

Deno.test("synthetic models: a wrong command line is refused by its flag, and writes nothing", () =>
  withTempDir(async (dir) => {
    const out = `${dir}/none.gguf`;
    const refused: [string[], RegExp][] = [
      [["--shape", "huge", out], /--shape is "huge"; expected one of .*llama-2-7b/],
      [["--shape", "tiny", "--seed", "abc", out], /--seed is "abc"; expected a whole number/],
      [["--shape", "tiny", "--seed", "1.5", out], /--seed is "1\.5"/],
      [["--shape", "tiny"], /the file to write is missing/],
      [["--sead", "1", out], /--sead/],
    ];
    for (const [args, message] of refused) {
      await assert.rejects(() => main(args), { kind: "usage", message });
    }
    assert.deepEqual([...Deno.readDirSync(dir)], []);
  }));

engineTest("synthetic models: weights are spread evenly around zero", async (engine) => {
  await withTempDir(async (dir) => {
    await makeSynthetic(`${dir}/tiny.gguf`, "tiny", 1);
    using source = openModelSource(`${dir}/tiny.gguf`);
    await loadModel(engine, source, inferenceUse(8));
    const seen = new Set<number>();
    for (const [name, { shape: [rows = 1, columns] }] of source.tensors) {
      const isVector = columns === undefined;
      const bytes = await engine.readTensor(name, 0, isVector ? 1 : rows, "f32", false);
      const weights = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
      if (isVector) {
        assert.ok(weights.every((weight) => weight === 1), name);
        continue;
      }
      const mean = weights.reduce((sum, weight) => sum + weight, 0) / weights.length;
      const square = weights.reduce((sum, weight) => sum + weight ** 2, 0) / weights.length;
      // Four standard errors of the mean.
      assert.ok(Math.abs(mean) < 4 * 0.0185 / Math.sqrt(weights.length), `${name}: mean ${mean}`);
      assert.ok(Math.abs(Math.sqrt(square) - 0.0185) < 1e-3, `${name}: ${Math.sqrt(square)}`);
      seen.add(weights[0]! + weights[1]! + weights[2]!);
    }
    assert.equal(seen.size, [...source.tensors.keys()].filter((name) => !/norm/.test(name)).length);
  });
}, HOSTED_DEVICES.slice(1));

for (const { name, host, device, ignore } of HOSTED_DEVICES) {
  Deno.test(
    `synthetic models: a step and its reselection run on one (${name})`,
    { ignore },
    () =>
      withTempDir(async (dir) => {
        const [model, data] = [`${dir}/tiny.gguf`, `${dir}/text.jsonl`];
        await makeSynthetic(model, "tiny", 1);
        const line = JSON.stringify({
          text: "The quick brown fox jumps over the lazy dog. ".repeat(4),
        });
        Deno.writeTextFileSync(data, `${line}\n`);
        const resolved = runConfig({
          ...{ model, data: [data], out: `${dir}/run`, host, device, density: 0.024 },
          ...{ maxLength: 128, microBatchTokens: 128, maxSteps: 2 },
          ...{ reselectionSteps: 3, selectionAccumulationSteps: 1 },
        });
        const losses: number[] = [];
        let grown = 0;
        const { output } = await trainRun(resolved, {
          onEvent: (event) => {
            if (event.type === "step") losses.push(event.loss);
            if (event.type === "reselect") grown += event.grown;
          },
        });
        // Near that of chance: nothing can be known of random weights.
        assert.ok(Math.abs(losses[0]! - Math.log(320)) < 0.2, `loss ${losses[0]}`);
        assert.ok(losses[1]! < losses[0]!, `losses ${losses}`);
        assert.ok(grown > 1000, `${grown} grown`);
        assert.ok(output !== undefined && Deno.statSync(output).isDirectory);
      }),
  );
}
