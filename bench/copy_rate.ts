/** What is held against the rate at which memory can be copied. */

import type { ModelSource } from "../src/model/source.ts";
import { round } from "./statistics.ts";

/**
 * Share of the rate at which a copy moves memory, in bytes read plus bytes written, rounded. It may be above 1 where
 * little is written, as in decoding.
 *
 * @param bytesPerSecond Bytes that are read and written per second.
 * @param copyRate Those of a copy: two for each byte that is copied.
 */
export function shareOfCopyRate(bytesPerSecond: number, copyRate: number): number {
  return round(bytesPerSecond / copyRate);
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
