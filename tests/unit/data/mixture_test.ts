/** Mixtures, held-out examples and repeats: which examples there are, and in which order. */
import assert from "node:assert/strict";
import type { Dataset } from "../../../src/data/dataset.ts";
import { HashSet } from "../../../src/data/hash_set.ts";
import { type DatasetOptions, loadDataset } from "../../../src/data/load_dataset.ts";
import { MixtureOrder, namedSources, sharesOf } from "../../../src/data/mixture.ts";
import { MicroBatchStream } from "../../../src/data/sampler.ts";
import { byteTokenizer } from "../../support/byte_tokenizer.ts";
import { assertRefuses } from "../../support/refuses.ts";
import { withTempDir } from "../../support/temp_dir.ts";

const range = (length: number) => Array.from({ length }, (_, i) => i);

/** Loads files of one text per line. */
async function load(
  dir: string,
  files: readonly (readonly string[])[],
  options: Partial<DatasetOptions> = {},
): Promise<Dataset> {
  const paths = files.map((texts, i) => {
    const path = `${dir}/${i}.jsonl`;
    Deno.writeTextFileSync(path, texts.map((text) => JSON.stringify({ text })).join("\n"));
    return path;
  });
  return await loadDataset({ paths, tokenizer: byteTokenizer(), maxLength: 40, ...options });
}

const origins = (dataset: Dataset) =>
  range(dataset.length).map((i) => dataset.origin(i).split("/").at(-1));

Deno.test("weights are taken off names, unless the whole name is there", () =>
  withTempDir((dir) => {
    Deno.writeTextFileSync(`${dir}/a:2`, "");
    assert.deepEqual(namedSources([`${dir}/a:2`, "b.jsonl", "hf:org/name:train", "c:1:x"]), [
      { name: `${dir}/a:2`, weight: null },
      { name: "b.jsonl", weight: null },
      { name: "hf:org/name:train", weight: null },
      { name: "c:1:x", weight: null },
    ]);
    assert.deepEqual(namedSources([`${dir}/a:2:0.5`, "b:2", "hf:org/name:train:.25", "d:1e-3"]), [
      { name: `${dir}/a:2`, weight: 0.5 },
      { name: "b", weight: 2 },
      { name: "hf:org/name:train", weight: 0.25 },
      { name: "d", weight: 0.001 },
    ]);
    for (const weight of ["0", "0.0", "-1", "NaN", "inf", "-Infinity", "1e999"]) {
      const refused = () => namedSources([`a.jsonl:${weight}`]);
      assertRefuses(refused, "usage", `"a.jsonl:${weight}" has the weight ${weight}`, "above 0");
    }
    const half = () => namedSources(["a.jsonl:0.7", "b.jsonl"]);
    assertRefuses(half, "usage", `"a.jsonl:0.7" has a weight, and "b.jsonl" has none`);
  }));

Deno.test("shares are whole, add up, and are as near to the weights as can be", () => {
  assert.deepEqual(sharesOf(10, [0.7, 0.3]), [7, 3]);
  assert.deepEqual(sharesOf(10, [7, 3]), [7, 3]);
  assert.deepEqual(sharesOf(3, [1, 1]), [2, 1]);
  assert.deepEqual(sharesOf(7, [1, 1, 1]), [3, 2, 2]);
  assert.deepEqual(sharesOf(5, [1e-9, 1]), [0, 5]);
  for (const total of [1, 17, 1000]) {
    const weights = [0.123, 4, 2.5, 1e-3];
    const shares = sharesOf(total, weights);
    assert.equal(shares.reduce((sum, share) => sum + share), total);
    shares.forEach((share, i) => assert.ok(Math.abs(share - total * weights[i]! / 6.624) < 1));
  }
});

Deno.test("a mixture draws by weight, and goes through each source before it repeats", () => {
  const parts = [{ start: 0, length: 30, weight: 1 }, { start: 30, length: 10, weight: 1 }];
  const order = new MixtureOrder(parts, 7);
  assert.deepEqual(order.sources, [{ examples: 30, drawn: 20 }, { examples: 10, drawn: 20 }]);
  const epochs = range(6).map((epoch) => range(40).map((place) => order.example(epoch, place)));
  for (const epoch of epochs) {
    assert.equal(epoch.filter((example) => example < 30).length, 20);
    const small = epoch.filter((example) => example >= 30).sort();
    assert.deepEqual(small, range(20).map((i) => 30 + (i >> 1)), "twice each");
  }
  // 60 draws of three epochs are two passes over the large source.
  for (const three of [epochs.slice(0, 3), epochs.slice(3)]) {
    const large = three.flat().filter((example) => example < 30).sort((a, b) => a - b);
    assert.deepEqual(large, range(60).map((i) => i >> 1));
  }
  assert.equal(new Set(epochs.map((epoch) => epoch.join())).size, 6);
  const halves = epochs.flat().filter((_, place) => place % 40 < 20);
  const early = halves.filter((example) => example < 30).length;
  assert.ok(early > 40 && early < 80, `sources are mixed: ${early} of 120`);
  const other = new MixtureOrder(parts, 8);
  assert.notDeepEqual(range(40).map((place) => other.example(0, place)), epochs[0]);
});

Deno.test("a stream of a mixture is a function of the index, and of the shares alone", () =>
  withTempDir(async (dir) => {
    const data = await load(dir, [range(50).map((i) => `a${i}`), range(20).map((i) => `b${i}`)]);
    const options = { seed: 3, policy: "ffd", microBatchTokens: 64 } as const;
    const mixture = (first: number, second: number) => [
      { name: "a", files: 1, weight: first },
      { name: "b", files: 1, weight: second },
    ];
    const stream = new MicroBatchStream(data, { ...options, mixture: mixture(1, 3) });
    const batches = range(40).map((index) => stream.examplesOf(index));
    const same = new MicroBatchStream(data, { ...options, mixture: mixture(0.25, 0.75) });
    for (const index of [39, 0, 21]) assert.deepEqual(same.examplesOf(index), batches[index]);
    assert.equal(same.fingerprint, stream.fingerprint);
    assert.deepEqual(stream.drawn, [
      { name: "a", examples: 50, drawn: 18 },
      { name: "b", examples: 20, drawn: 52 },
    ]);
    const first = range(stream.microBatchesIn(0)).flatMap((index) => stream.examplesOf(index));
    assert.equal(first.length, 70);
    assert.equal(first.filter((example) => example < 50).length, 18);
    const tokens = first.reduce((sum, example) => sum + data.lengthOf(example), 0);
    assert.equal(stream.fillRate(0), tokens / (stream.microBatchesIn(0) * 64));
    const [plain, other] = [undefined, mixture(3, 1)].map((mixture) =>
      new MicroBatchStream(data, { ...options, mixture })
    );
    assert.equal(plain!.drawn, null);
    assert.equal(new Set([stream, plain, other].map((one) => one!.fingerprint)).size, 3);
    const third = { name: "c", files: 1, weight: 1 };
    const none = () =>
      new MicroBatchStream(data, { ...options, mixture: [...mixture(1, 1), third] });
    assertRefuses(none, "data", `no examples of "c"`);
  }));

Deno.test("examples are held out by their words alone", () =>
  withTempDir(async (dir) => {
    const texts = [range(2000).map((i) => `text ${i}`), range(500).map((i) => `text ${i * 10}`)];
    const all = await load(dir, texts);
    const { train, heldOut } = all.split(0.1);
    assert.equal(train.length + heldOut.length, 2500);
    assert.ok(heldOut.length > 190 && heldOut.length < 310, `${heldOut.length}`);
    const lineOf = (origin = "") => {
      const [file, line] = origin.split(":");
      return texts[Number(file![0])]![Number(line) - 1]!;
    };
    const held = new Set(origins(heldOut).map(lineOf));
    assert.ok(origins(train).every((origin) => !held.has(lineOf(origin))), "none is on both sides");
    assert.equal(train.counts.tokens + heldOut.counts.tokens, all.counts.tokens);
    assert.equal(
      train.examplesBefore(1),
      origins(train).filter((name) => name?.[0] === "0").length,
    );
    // Other tokenizers, neighbours and fields change nothing.
    const shuffled = await load(dir, [texts[0]!.toReversed()], {
      tokenizer: byteTokenizer({ eosToken: null }),
      maxLength: 20,
    });
    texts[0]!.reverse();
    const again = new Set(origins(shuffled.split(0.1).heldOut).map(lineOf));
    assert.deepEqual([...again].sort(), [...held].filter((one) => texts[0]!.includes(one)).sort());
    const more = new Set(origins(shuffled.split(0.2).heldOut).map(lineOf));
    assert.ok([...again].every((one) => more.has(one)), "a larger share holds the same ones");
  }));

Deno.test("of examples that are alike the first is left", () =>
  withTempDir(async (dir) => {
    const all = await load(dir, [["a", "b", "a", "c"], ["c", "d", "b ", "d"]]);
    const unique = all.withoutRepeats();
    assert.deepEqual(origins(unique), [
      "0.jsonl:1",
      "0.jsonl:2",
      "0.jsonl:4",
      "1.jsonl:2",
      "1.jsonl:3",
    ]);
    assert.equal(unique.examplesBefore(1), 3);
    // A part is what a file of it alone would be.
    const alone = await load(dir, [["a", "b", "c", "d", "b "]]);
    assert.equal(unique.fingerprint, alone.fingerprint);
    assert.deepEqual(unique.counts, alone.counts);
    assert.equal(unique.withoutRepeats().fingerprint, alone.fingerprint);
    assert.equal(all.split(0.5).heldOut.withoutRepeats().length, unique.split(0.5).heldOut.length);
  }));

Deno.test("a set of hashes tells every one apart", () => {
  const set = new HashSet(1000);
  const hashes = range(1000).map((i) => [i % 7, Math.imul(i >> 1, 0x9E3779B9) >>> 0] as const);
  const distinct = new Set<string>();
  for (const hash of [...hashes, ...hashes]) {
    assert.equal(set.add(...hash), !distinct.has(hash.join()), hash.join());
    distinct.add(hash.join());
  }
});
