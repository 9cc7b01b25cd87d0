/** Choosing tokens, and turning them into text piece by piece. */

import assert from "node:assert/strict";
import { decodeStream, generateTokens } from "../../../src/generate/generate.ts";
import { checkSampling, drawAt, sampleToken } from "../../../src/generate/sampling.ts";
import { byteTokenizer } from "../../support/byte_tokenizer.ts";
import { openFakeEngine } from "../../support/fake_engine.ts";
import { createToy } from "../../support/toy_run.ts";

const GREEDY = { temperature: 0, topP: 1 };

/** Logits that give these probabilities at temperature 1. */
const logitsOf = (...probabilities: number[]) => Float32Array.from(probabilities, Math.log);

/** Shares of each token over many draws. */
function shares(logits: Float32Array, options: { temperature: number; topP: number }): number[] {
  const counts = new Array(logits.length).fill(0);
  const draws = 20_000;
  for (let count = 0; count < draws; count++) {
    counts[sampleToken(logits, options, drawAt(1, count))]++;
  }
  return counts.map((count) => count / draws);
}

function assertNear(actual: number[], expected: number[]): void {
  for (const [id, share] of actual.entries()) {
    // Five standard deviations of 20,000 draws at most.
    assert.ok(
      Math.abs(share - expected[id]!) < 0.018,
      `token ${id}: ${share}, not ${expected[id]}`,
    );
  }
}

Deno.test("sampling: greedy takes the likeliest, the lower id of equals", () => {
  assert.equal(sampleToken(Float32Array.of(1, 3, 2), GREEDY, 0.99), 1);
  assert.equal(sampleToken(Float32Array.of(1, 3, 3), GREEDY, 0.99), 1);
});

Deno.test("sampling: draws follow the probabilities, sharpened or flattened by the temperature", () => {
  const logits = logitsOf(0.1, 0.6, 0.3);
  assertNear(shares(logits, { temperature: 1, topP: 1 }), [0.1, 0.6, 0.3]);
  const squares = [0.01, 0.36, 0.09].map((weight) => weight / 0.46);
  assertNear(shares(logits, { temperature: 0.5, topP: 1 }), squares);
});

Deno.test("sampling: top-p keeps the smallest set that reaches the probability", () => {
  const logits = logitsOf(0.1, 0.6, 0.3);
  assertNear(shares(logits, { temperature: 1, topP: 0.8 }), [0, 2 / 3, 1 / 3]);
  assert.deepEqual(shares(logits, { temperature: 1, topP: 0.5 }), [0, 1, 0]);
});

Deno.test("sampling: numbers that tokens cannot be chosen by are refused", () => {
  for (const topP of [0, -1, 1.5, NaN]) {
    const message = `topP is ${topP}; expected a number above 0 and at most 1`;
    assert.throws(() => checkSampling({ temperature: 1, topP }), { kind: "usage", message });
  }
  for (const temperature of [-1, NaN]) {
    const message = `temperature is ${temperature}; expected a number of at least 0`;
    assert.throws(() => checkSampling({ temperature, topP: 1 }), { kind: "usage", message });
  }
  checkSampling({ temperature: 0, topP: 1 });
});

Deno.test("sampling: draws depend on seed and place, and spread over [0, 1)", () => {
  assert.equal(drawAt(7, 3), drawAt(7, 3));
  const draws = Array.from({ length: 1000 }, (_, count) => drawAt(0, count));
  assert.equal(new Set(draws).size, 1000);
  assert.ok(draws.every((draw) => draw >= 0 && draw < 1));
  const mean = draws.reduce((sum, draw) => sum + draw, 0) / 1000;
  assert.ok(Math.abs(mean - 0.5) < 0.05, `mean ${mean}`);
  assert.notDeepEqual(draws.slice(0, 10), Array.from({ length: 10 }, (_, at) => drawAt(1, at)));
});

/** The fake engine's likeliest token is the last one plus one. */
async function generated(maxNewTokens: number, stopTokens: number[], signal?: AbortSignal) {
  const { engine, fake } = await openFakeEngine();
  await createToy(engine, "spiel-ag");
  const ids: number[] = [];
  const options = { ...GREEDY, seed: 0, maxNewTokens, stopTokens };
  for await (const id of generateTokens(engine, Uint32Array.of(9, 3), options, signal)) {
    ids.push(id);
  }
  await engine.close();
  return { ids, log: fake.log.slice(2) };
}

Deno.test("generate: feeds the prompt, then each token but the last, and frees the cache", async () => {
  const { ids, log } = await generated(3, []);
  assert.deepEqual(ids, [4, 5, 6]);
  assert.deepEqual(log, ["generateBegin", ...Array(3).fill("generateForward"), "generateEnd"]);
});

Deno.test("generate: ends before a stop token, at once for no tokens, and on the signal", async () => {
  assert.deepEqual((await generated(10, [6, 7])).ids, [4, 5]);
  assert.deepEqual(await generated(0, []), { ids: [], log: [] });
  assert.deepEqual((await generated(10, [], AbortSignal.abort())).ids, []);
});

Deno.test("generate: a consumer that leaves early frees the cache", async () => {
  const { engine, fake } = await openFakeEngine();
  await createToy(engine, "spiel-ag");
  const options = { ...GREEDY, seed: 0, maxNewTokens: 10, stopTokens: [] };
  for await (const _ of generateTokens(engine, Uint32Array.of(1), options)) break;
  assert.equal(fake.log.at(-1), "generateEnd");
  await engine.close();
});

async function* stream(ids: Iterable<number>) {
  yield* ids;
}

Deno.test("decode stream: characters of several tokens come out whole", async () => {
  const tokenizer = byteTokenizer();
  const text = "a\u{1F600} the \u00E9nd";
  const ids = tokenizer.encode(text);
  const pieces: string[] = [];
  for await (const piece of decodeStream(stream(ids), (some) => tokenizer.decode(some))) {
    pieces.push(piece);
  }
  assert.equal(pieces.join(""), text);
  assert.ok(pieces.includes("\u{1F600}"), "four byte tokens are one piece");
  assert.ok(pieces.every((piece) => !piece.includes("\uFFFD")));
});

Deno.test("decode stream: what stays unfinished comes at the end", async () => {
  const tokenizer = byteTokenizer();
  const ids = [...tokenizer.encode("ok\u{1F600}")].slice(0, -1);
  const pieces: string[] = [];
  for await (const piece of decodeStream(stream(ids), (some) => tokenizer.decode(some))) {
    pieces.push(piece);
  }
  assert.equal(pieces.join(""), "ok\uFFFD");
});

Deno.test("decode stream: spaces that a decoder strips at a start are kept between words", async () => {
  const words = ["\u2581one", "\u2581two", "\u2581three"];
  const decode = (ids: readonly number[]) =>
    ids.map((id) => words[id]).join("").replaceAll("\u2581", " ").trimStart();
  const pieces: string[] = [];
  for await (const piece of decodeStream(stream([0, 1, 2]), decode)) pieces.push(piece);
  assert.deepEqual(pieces, ["one", " two", " three"]);
});
