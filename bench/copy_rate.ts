/** What is held against the rate at which memory can be copied. */

import type { ModelSource } from "../src/model/source.ts";
import { round } from "./statistics.ts";

/**
 * How fast memory is copied, in gigabytes per second: `copied` counts every byte that is copied once, `moved` twice, as it
 * is read and written.
 *
 * @param movedPerSecond Bytes that a copy reads and writes per second, as the engine's probe counts them.
 */
export function copyRates(movedPerSecond: number) {
  return {
    copied_gigabytes_per_second: round(movedPerSecond / 2e9),
    moved_gigabytes_per_second: round(movedPerSecond / 1e9),
  };
}

/**
 * Weights that are read, as a share of the bytes that a copy copies in the same time, and of those that it moves, twice as
 * many. The first may be above 1, as decoding only reads.
 *
 * @param bytesPerSecond Bytes of weights that are read per second.
 * @param movedPerSecond As for `copyRates`.
 */
export function sharesOfCopy(bytesPerSecond: number, movedPerSecond: number) {
  return {
    share_of_copied: round(bytesPerSecond / (movedPerSecond / 2)),
    share_of_moved: round(bytesPerSecond / movedPerSecond),
  };
}

/** Bytes of the weights that a token is multiplied with; of an embedding apart from the head, it looks up a row. */
export function weightBytesPerToken(
  { config, tensors }: Pick<ModelSource, "config" | "tensors">,
): number {
  const read = [...tensors].filter(([name]) =>
    name !== "model.embed_tokens.weight" || config.tie_word_embeddings
  );
  return read.reduce((sum, [, { byteLength }]) => sum + byteLength, 0);
}
