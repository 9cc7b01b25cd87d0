/** Training state crosses the boundary in parts, and what is written is checked before it is used. */

import assert from "node:assert/strict";
import type { Engine } from "../../src/engine/engine.ts";
import { engineTest } from "../support/hosts.ts";
import { createRandomDeltas, randomBatch, SMALL_CONFIG } from "../support/small_model.ts";

const MODULE = "model.layers.0.self_attn.q_proj";
const BATCH = randomBatch(SMALL_CONFIG.vocab_size, [9, 17], 3);

/** The number of deltas of the module. */
async function attach(engine: Engine): Promise<number> {
  return (await createRandomDeltas(engine, SMALL_CONFIG, { candidates: true })).get(MODULE)!;
}

engineTest("state: parts put together are the whole", async (engine) => {
  const count = await attach(engine);
  const whole = await engine.readState(MODULE, "values");
  const parts = [
    ...await engine.readState(MODULE, "values", { offset: 0, count: 7 }),
    ...await engine.readState(MODULE, "values", { offset: 7, count: 0 }),
    ...await engine.readState(MODULE, "values", { offset: 7, count: null }),
  ];
  assert.equal(whole.length, count);
  assert.deepEqual(Float32Array.from(parts), whole);
  assert.equal(
    (await engine.readState(MODULE, "values", { offset: count, count: null })).length,
    0,
  );
});

engineTest("state: a part is written in its place, and counts", async (engine) => {
  await attach(engine);
  const expected = (await engine.readState(MODULE, "values")).slice();
  const before = (await engine.forward(BATCH)).loss.sum;
  const part = Float32Array.of(3, -2, 1);
  await engine.writeState(MODULE, "values", part, 5);
  expected.set(part, 5);
  assert.deepEqual(await engine.readState(MODULE, "values"), expected);
  const parts = (await engine.forward(BATCH)).loss.sum;
  assert.notEqual(parts, before);
  await engine.writeState(MODULE, "values", expected);
  assert.equal((await engine.forward(BATCH)).loss.sum, parts);
});

engineTest("state: parts outside the array are refused", async (engine) => {
  const count = await attach(engine);
  const reads = [{ offset: 0, count: count + 1 }, { offset: count, count: 1 }, {
    offset: count + 1,
    count: null,
  }, { offset: 0xFFFFFFFF, count: 0xFFFFFFFF }];
  for (const range of reads) {
    await assert.rejects(
      () => engine.readState(MODULE, "values", range),
      { message: new RegExp(`has ${count} elements, expected`) },
    );
  }
  await assert.rejects(
    () => engine.writeState(MODULE, "values", new Float32Array(2), count - 1),
    { kind: "data", message: new RegExp(`has ${count} elements, expected ${count - 1} to`) },
  );
});

engineTest(
  "state: written candidates are checked before a window goes on with them",
  async (engine) => {
    const count = await attach(engine);
    const good = Uint32Array.from({ length: count }, (_, i) => 2 * i + 1);
    const write = async (indices: Uint32Array<ArrayBuffer>) => {
      await engine.writeState(MODULE, "candidateIndices", indices.slice(0, 4));
      await engine.writeState(MODULE, "candidateIndices", indices.slice(4), 4);
    };
    // The other modules' candidates have never been chosen, so they are zeros.
    for (
      const name of [...(await createRandomDeltas(engine, SMALL_CONFIG, { candidates: true }))]
    ) {
      const ascending = Uint32Array.from({ length: name[1] }, (_, i) => i);
      await engine.writeState(name[0], "candidateIndices", ascending);
    }
    for (const bad of [good.with(4, good[3]!), good.with(3, 9), good.with(count - 1, 0xFFFFFFFF)]) {
      await write(bad);
      await assert.rejects(() => engine.resumeCandidates(1), {
        kind: "data",
        message: /^Candidate \d+ of "model\.layers\.0\.self_attn\.q_proj": expected ascending/,
      });
    }
    await write(good);
    await engine.resumeCandidates(1);
    await engine.forwardBackward(BATCH, 1);
    assert.deepEqual(await engine.readState(MODULE, "candidateIndices"), good);
  },
);

engineTest("state: an open window's own candidates are not replaced", async (engine) => {
  const count = await attach(engine);
  await engine.beginCandidates();
  await engine.forwardBackward(BATCH, 1);
  await assert.rejects(
    () => engine.writeState(MODULE, "candidateIndices", new Uint32Array(count)),
    { message: /open window has chosen its candidates/ },
  );
});
