/** What decoding reads, held against the rate of a copy. */

import assert from "node:assert/strict";
import { shareOfCopyRate, weightBytesPerToken } from "../../../bench/copy_rate.ts";
import { openModelSource } from "../../../src/model/source.ts";

const MODEL = decodeURIComponent(new URL("../../../examples/demo/model", import.meta.url).pathname);

Deno.test("a share of the copy rate has four digits", () => {
  assert.equal(shareOfCopyRate(2e9, 6e9), 0.3333);
});

Deno.test("a token reads all weights, but for an embedding that is not the head", () => {
  using source = openModelSource(MODEL);
  const all = [...source.tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
  const embedding = source.tensors.get("model.embed_tokens.weight")!.byteLength;
  const read = (tied: boolean) =>
    weightBytesPerToken({ ...source, config: { ...source.config, tie_word_embeddings: tied } });
  assert.equal(read(true), all);
  assert.equal(read(false), all - embedding);
});
