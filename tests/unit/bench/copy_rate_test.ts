/** What decoding reads, held against the rate of a copy. */

import assert from "node:assert/strict";
import { copyRates, sharesOfCopy, weightBytesPerToken } from "../../../bench/copy_rate.ts";
import { openModelSource } from "../../../src/model/source.ts";

const MODEL = decodeURIComponent(new URL("../../../examples/demo/model", import.meta.url).pathname);

Deno.test("a copy moves twice the bytes that it copies, and shares are of either", () => {
  assert.deepEqual(copyRates(6e9), {
    copied_gigabytes_per_second: 3,
    moved_gigabytes_per_second: 6,
  });
  assert.deepEqual(sharesOfCopy(2e9, 6e9), { share_of_copied: 0.6667, share_of_moved: 0.3333 });
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
