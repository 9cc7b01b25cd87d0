/** Packing and order: every example exactly once an epoch, masks kept, and all of it a pure function of the index. */
import assert from "node:assert/strict";
import { IGNORE as ENGINE_IGNORE } from "../../../src/engine/protocol.gen.ts";
import type { Dataset } from "../../../src/data/dataset.ts";
import { loadDataset } from "../../../src/data/load_dataset.ts";
import type { TokenizedExample } from "../../../src/data/example.ts";
import {
  IGNORE,
  joinExamples,
  packExamples,
  type PackingOptions,
} from "../../../src/data/packing.ts";
import { mixKey, permuteIndex } from "../../../src/data/permutation.ts";
import { MicroBatchStream, SequentialMicroBatches } from "../../../src/data/sampler.ts";
import { byteTokenizer } from "../../support/byte_tokenizer.ts";
import { assertRefuses } from "../../support/refuses.ts";
import { withTempDir } from "../../support/temp_dir.ts";

/** A small generator of its own, so that cases do not depend on the code under test. */
function* numbers(seed: number): Generator<number> {
  for (let state = seed >>> 0;;) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state / 2 ** 32;
  }
}

const range = (length: number) => Array.from({ length }, (_, i) => i);

Deno.test("a keyed shuffle is a bijection for every length", () => {
  for (const length of [1, 2, 3, 5, 16, 17, 255, 256, 257, 1000, 4099]) {
    for (const key of [0, 1, 0xFFFFFFFF, mixKey(7, 3)]) {
      const items = range(length).map((i) => permuteIndex(i, length, key));
      assert.deepEqual(items.toSorted((a, b) => a - b), range(length));
    }
  }
  const large = 2 ** 31;
  for (const i of [0, 12345, large - 1]) {
    const item = permuteIndex(i, large, 99);
    assert.ok(Number.isInteger(item) && item >= 0 && item < large);
  }
});

Deno.test("a keyed shuffle moves items, differently for every key", () => {
  const length = 1000;
  const orders = range(20).map((epoch) => {
    const key = mixKey(5, epoch);
    return range(length).map((i) => permuteIndex(i, length, key));
  });
  for (const order of orders) {
    assert.ok(order.filter((item, i) => item === i).length < 10, "few stay");
    // Neighbours of a random order differ by a third of its length on average.
    const steps = order.slice(1).map((item, i) => Math.abs(item - order[i]!));
    const mean = steps.reduce((sum, step) => sum + step, 0) / steps.length;
    assert.ok(Math.abs(mean - length / 3) < length / 10, `mean step ${mean}`);
  }
  for (let i = 1; i < orders.length; i++) {
    const same = orders[i]!.filter((item, j) => item === orders[i - 1]![j]).length;
    assert.ok(same < 10, "epochs differ");
  }
});

Deno.test("all orders of a few items occur about equally often", () => {
  const counts = new Map<string, number>();
  for (let seed = 0; seed < 6000; seed++) {
    const key = mixKey(seed, 0);
    const order = range(3).map((i) => permuteIndex(i, 3, key)).join();
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  assert.equal(counts.size, 6);
  for (const count of counts.values()) assert.ok(Math.abs(count - 1000) < 150, `${count}`);
});

Deno.test("keys use all bits of their numbers", () => {
  const keys = new Set(
    [[0, 0], [0, 1], [1, 0], [2 ** 32, 0], [2 ** 40 + 1, 0], [-1, 0]].map((parts) =>
      mixKey(...parts)
    ),
  );
  assert.equal(keys.size, 6);
});

Deno.test("packing covers each example exactly once within its limits", () => {
  const random = numbers(1);
  for (let round = 0; round < 60; round++) {
    const count = 1 + Math.floor(random.next().value * (round < 50 ? 60 : 3000));
    const microBatchTokens = 64;
    const lengths = range(count).map(() => 2 + Math.floor(random.next().value ** 2 * 63));
    const microBatchExamples = round % 3 === 0 ? 1 + round % 5 : undefined;
    for (const policy of ["ffd", "none"] as const) {
      const options: PackingOptions = { policy, microBatchTokens, microBatchExamples };
      const order = range(count).reverse();
      const plan = packExamples(order, (i) => lengths[i]!, options);
      assert.deepEqual(plan.flat().toSorted((a, b) => a - b), range(count));
      for (const examples of plan) {
        assert.ok(examples.length > 0 && examples.length <= (microBatchExamples ?? Infinity));
        assert.ok(examples.reduce((sum, i) => sum + lengths[i]!, 0) <= microBatchTokens);
      }
      if (policy === "none") assert.deepEqual(plan.flat(), order);
    }
  }
});

Deno.test("first-fit decreasing fills better and stays near the order", () => {
  const random = numbers(2);
  const count = 5000;
  const lengths = range(count).map(() => 20 + Math.floor(random.next().value * 400));
  const pack = (policy: "ffd" | "none") =>
    packExamples(range(count), (i) => lengths[i]!, { policy, microBatchTokens: 1024 });
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const [ffd, none] = [pack("ffd"), pack("none")];
  assert.ok(ffd.length < none.length);
  assert.ok(total / (ffd.length * 1024) > 0.97);
  // No example leaves its window of 1024.
  let seen = 0;
  for (const examples of ffd) {
    for (const example of examples) {
      assert.ok(Math.abs(example - seen) < 1024 + 8, `${example} at ${seen}`);
      seen++;
    }
  }
  // Long examples are not all at the front of a window.
  const early = ffd.slice(0, 40).flat().map((i) => lengths[i]!);
  const mean = early.reduce((sum, length) => sum + length, 0) / early.length;
  assert.ok(Math.abs(mean - total / count) < 40, `mean ${mean}`);
});

Deno.test("an example longer than a micro-batch is refused", () => {
  const pack = () => packExamples([0], () => 65, { policy: "ffd", microBatchTokens: 64 });
  assertRefuses(pack, "usage", "65 tokens", "micro_batch_tokens is 64");
});

Deno.test("joined examples keep their masks, shifted inside each sequence", () => {
  assert.equal(IGNORE, ENGINE_IGNORE);
  const random = numbers(3);
  const examples: TokenizedExample[] = range(20).map(() => {
    const length = 2 + Math.floor(random.next().value * 9);
    return {
      ids: Uint32Array.from({ length }, () => Math.floor(random.next().value * 1000)),
      trained: Uint8Array.from({ length }, () => random.next().value < 0.5 ? 1 : 0),
      truncatedTokens: 0,
    };
  });
  const { tokens, targets, cuSeqlens, targetTokens } = joinExamples(examples);
  assert.equal(cuSeqlens.length, examples.length + 1);
  assert.equal(cuSeqlens.at(-1), tokens.length);
  let trainedTargets = 0;
  examples.forEach(({ ids, trained }, sequence) => {
    const [start, end] = [cuSeqlens[sequence]!, cuSeqlens[sequence + 1]!];
    assert.deepEqual(tokens.slice(start, end), ids);
    for (let i = 0; i < ids.length; i++) {
      const isTarget = i + 1 < ids.length && trained[i + 1] === 1;
      assert.equal(targets[start + i], isTarget ? ids[i + 1] : IGNORE);
      if (isTarget) trainedTargets++;
    }
  });
  assert.equal(targetTokens, trainedTargets);
});

/** Texts of different lengths; the first letters tell them apart. */
async function dataset(dir: string, count: number): Promise<Dataset> {
  const path = `${dir}/data.jsonl`;
  const lines = range(count).map((i) =>
    JSON.stringify({ text: `${i} ${"x".repeat((i * 7) % 23)}` })
  );
  Deno.writeTextFileSync(path, lines.join("\n"));
  return await loadDataset({ paths: [path], tokenizer: byteTokenizer(), maxLength: 40 });
}

Deno.test("every epoch of the stream has each example once, in another order", () =>
  withTempDir(async (dir) => {
    const data = await dataset(dir, 101);
    for (const policy of ["ffd", "none"] as const) {
      const stream = new MicroBatchStream(data, { seed: 3, policy, microBatchTokens: 64 });
      let index = 0;
      const orders: string[] = [];
      for (let epoch = 0; epoch < 4; epoch++) {
        const count = stream.microBatchesIn(epoch);
        const examples: number[] = [];
        let tokens = 0;
        for (let inEpoch = 0; inEpoch < count; inEpoch++, index++) {
          assert.deepEqual(stream.position(index), { epoch, index: inEpoch, count });
          assert.equal(stream.epochAt(index), epoch + inEpoch / count);
          const batch = stream.microBatch(index);
          assert.equal(batch.origins.length, batch.cuSeqlens.length - 1);
          examples.push(...stream.examplesOf(index));
          tokens += batch.tokens.length;
        }
        assert.deepEqual(examples.toSorted((a, b) => a - b), range(101));
        assert.equal(tokens, data.counts.tokens);
        assert.equal(stream.fillRate(epoch), tokens / (count * 64));
        orders.push(examples.join());
      }
      assert.equal(new Set(orders).size, 4);
    }
  }));

Deno.test("a micro-batch depends on its index alone, not on what was read before", () =>
  withTempDir(async (dir) => {
    const data = await dataset(dir, 57);
    const options = { seed: 11, policy: "ffd", microBatchTokens: 50 } as const;
    const walked = new MicroBatchStream(data, options);
    const all = range(120).map((index) => walked.microBatch(index));
    for (const index of [119, 0, 64, 63, 3, 118]) {
      assert.deepEqual(walked.microBatch(index), all[index], "in any order");
      const fresh = new MicroBatchStream(await dataset(dir, 57), options);
      assert.deepEqual(fresh.microBatch(index), all[index], "after a restart");
      assert.equal(fresh.fingerprint, walked.fingerprint);
    }
    const other = new MicroBatchStream(data, { ...options, seed: 12 });
    assert.notDeepEqual(other.microBatch(0), all[0]);
    assert.notEqual(other.fingerprint, walked.fingerprint);
    assertRefuses(() => new MicroBatchStream(data, { ...options, microBatchTokens: 9 }), "usage");
    const path = `${dir}/empty.jsonl`;
    Deno.writeTextFileSync(path, '{"text":""}');
    const tokenizer = byteTokenizer();
    const none = await loadDataset({ paths: [path], tokenizer, maxLength: 9, bad: "report" });
    assertRefuses(() => new MicroBatchStream(none, options), "data", "no examples");
  }));

Deno.test("no epoch is planned that is not needed", () =>
  withTempDir(async (dir) => {
    const data = await dataset(dir, 40);
    let planned = 0;
    const lengthOf = data.lengthOf.bind(data);
    data.lengthOf = (index) => {
      planned++;
      return lengthOf(index);
    };
    const stream = new MicroBatchStream(data, { seed: 1, policy: "ffd", microBatchTokens: 64 });
    const count = stream.microBatchesIn(0);
    for (let index = 0; index < count; index++) stream.microBatch(index);
    assert.equal(stream.epochAt(count), 1);
    assert.equal(planned, 40, "one epoch");
    stream.microBatch(count);
    assert.equal(stream.epochAt(count), 1);
    assert.equal(planned, 80, "two epochs");
  }));

Deno.test("evaluation takes all examples once, in order", () =>
  withTempDir(async (dir) => {
    const data = await dataset(dir, 30);
    const limits = { microBatchTokens: 60, microBatchExamples: 3 };
    const all = new SequentialMicroBatches(data, limits);
    const batches = [...all];
    assert.equal(all.examples, 30);
    assert.deepEqual(
      batches.flatMap(({ origins }) => origins),
      range(30).map((i) => `${dir}/data.jsonl:${i + 1}`),
    );
    const sum = (of: (batch: typeof batches[number]) => number) =>
      batches.reduce((total, batch) => total + of(batch), 0);
    assert.equal(sum((batch) => batch.targetTokens), data.counts.targetTokens);
    assert.equal(sum((batch) => batch.tokens.length), data.counts.tokens);
    assert.ok(
      batches.every(({ cuSeqlens, tokens }) => cuSeqlens.length <= 4 && tokens.length <= 60),
    );
    assert.deepEqual(
      [...new SequentialMicroBatches(data, limits, 5)].flatMap(({ origins }) => origins),
      batches.flatMap(({ origins }) => origins).slice(0, 5),
    );
  }));
