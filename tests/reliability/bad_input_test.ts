/** Cut and corrupted models, and numbers that are not finite: a sentence and the documented code, never a panic. */

import assert from "node:assert/strict";
import { basename } from "node:path";
import { GgufFile } from "../../src/io/gguf.ts";
import { encodeSafetensors } from "../support/encode_safetensors.ts";
import { refusalProblem, runCli } from "../cli/run_cli.ts";
import { TinyFolder } from "../cli/tiny_folder.ts";
import { byteTokenizer } from "../support/byte_tokenizer.ts";
import { HOSTED_DEVICES } from "../support/hosts.ts";
import { randomNumbers } from "../support/small_model.ts";
import { withTempDir } from "../support/temp_dir.ts";
import { tinyConfig, tinyWeights } from "../support/tiny_model.ts";
import { wholeGguf } from "../support/whole_gguf.ts";
import { flipBits, refusalOf, safetensorsHeaderLength } from "./damage.ts";

const CUTS = 20;
const FLIPS = 200;

/** Flips that must at least be noticed; the others hit numbers and names that may as well be different. */
const NOTICED = FLIPS / 4;

for (const place of HOSTED_DEVICES) {
  const test = (title: string, run: (folder: TinyFolder) => Promise<void>) =>
    Deno.test(`bad input: ${title} (${place.name})`, { ignore: place.ignore }, async () => {
      using folder = new TinyFolder();
      await run(folder);
    });

  test(`a GGUF file cut at ${CUTS} lengths`, async (folder) => {
    const bytes = wholeGguf();
    assert.equal(await refusalOf(place, folder.write("whole.gguf", bytes), folder.data), null);
    const random = randomNumbers(3);
    for (let cut = 0; cut < CUTS; cut++) {
      const length = Math.floor(bytes.length * (cut + random()) / CUTS);
      const path = folder.write("cut.gguf", bytes.slice(0, length));
      const refusal = await refusalOf(place, path, folder.data);
      assert.equal(refusal?.kind, "data", `${length} bytes`);
      assert.ok(refusal.message.includes("cut.gguf"), refusal.message);
    }
  });

  test(`${FLIPS} headers of GGUF files with flipped bits`, async (folder) => {
    const bytes = wholeGguf();
    const path = folder.write("flipped.gguf", bytes);
    using file = GgufFile.open(path);
    const length = Math.min(...[...file.tensors.values()].map(({ byteOffset }) => byteOffset));
    const random = randomNumbers(4);
    let noticed = 0;
    for (let flip = 0; flip < FLIPS; flip++) {
      folder.write("flipped.gguf", flipBits(bytes, length, 1 + flip % 3, random));
      if (await refusalOf(place, path, folder.data) !== null) noticed++;
    }
    assert.ok(noticed >= NOTICED, `${noticed} were noticed`);
  });

  test("any flipped bit in the number of layers of a GGUF file", async (folder) => {
    const bytes = wholeGguf();
    const key = "llama.block_count";
    const text = [...bytes.subarray(0, 4096)].map((byte) => String.fromCharCode(byte)).join("");
    // Behind the key stands the type of its value, of four bytes as the value itself.
    const value = text.indexOf(key) + key.length + 4;
    assert.ok(value > key.length + 4);
    for (let bit = 0; bit < 32; bit++) {
      const flipped = bytes.slice();
      flipped[value + (bit >> 3)]! ^= 1 << (bit & 7);
      const refusal = await refusalOf(place, folder.write("flipped.gguf", flipped), folder.data);
      assert.equal(refusal?.kind, "data", `bit ${bit}`);
      assert.match(refusal.message, /flipped\.gguf.*(block_count|lacks|does not explain)/);
    }
  });

  test(`${FLIPS} configurations with flipped bits`, async (folder) => {
    const path = `${folder.model}/config.json`;
    const bytes = Deno.readFileSync(path);
    const random = randomNumbers(6);
    let noticed = 0;
    for (let flip = 0; flip < FLIPS; flip++) {
      Deno.writeFileSync(path, flipBits(bytes, bytes.length, 1 + flip % 3, random));
      if (await refusalOf(place, folder.model, folder.data) !== null) noticed++;
    }
    assert.ok(noticed >= NOTICED, `${noticed} were noticed`);
  });

  test(`${FLIPS} headers of safetensors files with flipped bits`, async (folder) => {
    const path = `${folder.model}/model.safetensors`;
    const bytes = Deno.readFileSync(path);
    const length = safetensorsHeaderLength(bytes);
    const random = randomNumbers(5);
    let noticed = 0;
    for (let flip = 0; flip < FLIPS; flip++) {
      Deno.writeFileSync(path, flipBits(bytes, length, 1 + flip % 3, random));
      if (await refusalOf(place, folder.model, folder.data) !== null) noticed++;
    }
    assert.ok(noticed >= NOTICED, `${noticed} were noticed`);
  });
}

/** A model whose weights have one value that is not finite. */
function poisoned(folder: TinyFolder, name: string, value: number): string {
  const model = folder.copyModel(name);
  const weights = tinyWeights({ ...tinyConfig("llama"), vocab_size: byteTokenizer().vocabSize });
  const { data } = weights.get("model.layers.1.mlp.down_proj.weight")!;
  (data as Float32Array)[77] = value;
  Deno.writeFileSync(`${model}/model.safetensors`, encodeSafetensors(weights));
  return model;
}

const REFUSED: [
  title: string,
  args: (folder: TinyFolder, model: string) => string[],
  code: number,
  words: RegExp,
][] = [
  [
    "training",
    (folder, model) => [...folder.trainArgs(`trained-${basename(model)}`), "--model", model],
    4,
    /loss of step 1 is not finite before anything was trained \(examples .*train\.jsonl:\d+/,
  ],
  [
    "training with held-out data",
    (folder, model) => [
      ...folder.trainArgs(`evaluated-${basename(model)}`),
      "--eval-data",
      folder.write("held_out.jsonl", '{"prompt":"say 16","completion":"it is 16"}\n'),
      "--model",
      model,
    ],
    4,
    /held-out data is not finite/,
  ],
  [
    "evaluating",
    (folder, model) => ["evaluate", "--model", model, "--data", folder.data, "--host", "wasm"],
    4,
    /not finite/,
  ],
  [
    "generating",
    (_, model) => ["generate", "--model", model, "--prompt", "say 1", "--host", "wasm"],
    4,
    /not finite|NaN/,
  ],
];

Deno.test("bad input: weights that are not numbers end in code 4", async (t) => {
  using folder = new TinyFolder();
  const models = [poisoned(folder, "nan", NaN), poisoned(folder, "infinite", Infinity)];
  for (const [title, args, code, words] of REFUSED) {
    for (const model of models) {
      await t.step(`${title} with ${basename(model)}`, async () => {
        const problem = refusalProblem(await runCli(args(folder, model)), code, words);
        assert.equal(problem, undefined);
      });
    }
  }
});

Deno.test("bad input: a GGUF file on the command line", async (t) => {
  using folder = new TinyFolder();
  const bytes = wholeGguf();
  const renamed = (from: string, to: string) => {
    assert.equal(from.length, to.length);
    const text = [...bytes].map((byte) => String.fromCharCode(byte)).join("").replaceAll(from, to);
    return Uint8Array.from(text, (char) => char.charCodeAt(0));
  };
  const CASES: [title: string, bytes: Uint8Array, more: string[], code: number, words: RegExp][] = [
    ["cut in its header", bytes.slice(0, 3000), [], 65, /model\.gguf.*ends/],
    ["cut in its data", bytes.slice(0, -9000), [], 65, /model\.gguf.*truncated/],
    ["over its memory budget", bytes, ["--memory-budget", "100KiB"], 69, /budget of 100\.0 KiB/],
    ["of an unknown architecture", renamed("llama", "bloom"), [], 65, /bloom.*llama/],
    ["with more tokens than embeddings", wholeGguf(3), [], 65, /do not belong together/],
  ];
  for (const [title, content, more, code, words] of CASES) {
    await t.step(title, async () => {
      const model = folder.write("model.gguf", content);
      const args = [...folder.trainArgs("run", ...more), "--model", model];
      assert.equal(refusalProblem(await runCli(args), code, words), undefined);
    });
  }
});

Deno.test("bad input: a file in memory says that it takes all permissions", async (t) => {
  await withTempDir(async (dir) => {
    await t.step({
      name: "under /dev",
      // Where there is no such folder there is no such refusal.
      ignore: !dir.startsWith("/dev/"),
      async fn() {
        const path = `${dir}/train.jsonl`;
        Deno.writeTextFileSync(path, '{"text":"a"}\n');
        const refused = await runCli(["inspect", path]);
        assert.equal(
          refusalProblem(refused, 78, /may not be read: add --allow-all to the/),
          undefined,
        );
      },
    });
  });
});
