/** A program that prepares data, to be killed: prints the samples of the first micro-batches as one hash. */
import { createHash } from "node:crypto";
import { loadDataset } from "../../src/data/load_dataset.ts";
import { MicroBatchStream } from "../../src/data/sampler.ts";
import { byteTokenizer } from "../support/byte_tokenizer.ts";

const [cache = "", workers = "", ...paths] = Deno.args;

/** Micro-batches that are looked at: more than an epoch has. */
const MICRO_BATCHES = 400;

using dataset = await loadDataset({
  ...{ paths, cache, workers: Number(workers), bad: "skip", maxLength: 64 },
  tokenizer: byteTokenizer({ chatTemplate: null }),
});
const stream = new MicroBatchStream(dataset.split(0.02).train.withoutRepeats(), {
  ...{ seed: 5, policy: "ffd", microBatchTokens: 2048 },
  mixture: [{ name: "a", files: 1, weight: 0.7 }, { name: "b", files: 1, weight: 0.3 }],
});
const hash = createHash("sha256").update(stream.fingerprint);
for (let index = 0; index < MICRO_BATCHES; index++) {
  const { tokens, targets, cuSeqlens, origins } = stream.microBatch(index);
  hash.update(tokens).update(targets).update(cuSeqlens).update(origins.join());
}
console.log(hash.digest("hex"));
