/** What a data set looks like to the model that reads it: lengths, cuts, and tokens that say nothing. */
import { whereOf } from "./bad_examples.ts";
import { isObject } from "../io/random_access.ts";
import type { Dataset } from "./dataset.ts";
import { MicroBatchStream } from "./sampler.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** Places that are told of what was cut. */
const MAX_PLACES = 10;
const BINS = 10;

/** Examples of similar length. */
export interface LengthBin {
  /** Tokens of the shortest that belong here. */
  readonly from: number;
  /** Tokens of the longest that belong here. */
  readonly to: number;
  /** How many there are. */
  readonly examples: number;
}

/** What is worth knowing of a data set's tokens. */
export interface DataReport {
  /** Examples by their length, in bins of the same width. */
  readonly lengths: readonly LengthBin[];
  /** Half of the examples have at most so many tokens. */
  readonly medianTokens: number;
  /** Tokens of the longest example. */
  readonly longestTokens: number;
  /** Share of the micro-batches' room that is filled, 0 to 1. */
  readonly filled: number;
  /** Tokens that stand for what the vocabulary cannot spell. */
  readonly unknownTokens: number;
}

/**
 * Looks at every example of a data set, of which there is at least one.
 *
 * @param microBatchTokens Most tokens of a micro-batch, by which examples are packed.
 */
export function reportOf(
  dataset: Dataset,
  tokenizer: Pick<Tokenizer, "parts">,
  microBatchTokens: number,
): DataReport {
  const packing = { seed: 0, policy: "ffd", microBatchTokens } as const;
  const sorted = new Uint32Array(dataset.length).map((_, index) => dataset.lengthOf(index)).sort();
  const unknown = unknownId(tokenizer);
  let unknownTokens = 0;
  for (let index = 0; unknown !== null && index < dataset.length; index++) {
    for (const id of dataset.example(index).ids) if (id === unknown) unknownTokens++;
  }
  return {
    lengths: binsOf(sorted),
    medianTokens: sorted[(sorted.length - 1) >> 1] ?? 0,
    longestTokens: sorted.at(-1) ?? 0,
    filled: new MicroBatchStream(dataset, packing).fillRate(0),
    unknownTokens,
  };
}

/** Which examples were cut, of how many of their tokens, and what would keep them whole, in words; null where none was. */
export function cutNotice(dataset: Dataset, maxLength: number): string | null {
  const places: string[] = [];
  let [count, longest, lost, whole] = [0, 0, 0, 0];
  for (let index = 0; index < dataset.length; index++) {
    const cut = dataset.truncatedOf(index);
    if (cut === 0) continue;
    count++;
    const length = dataset.lengthOf(index) + cut;
    longest = Math.max(longest, length);
    lost += cut;
    whole += length;
    if (places.length < MAX_PLACES) places.push(dataset.origin(index));
  }
  if (count === 0) return null;
  return `max_length ${maxLength} cuts ${count} of ${dataset.length} examples, which lose ${lost} of their ` +
    `${whole} tokens, behind the last turn that fits where one does: ${
      whereOf(places, count)
    }; max_length ${longest} keeps every token`;
}

function binsOf(sorted: Uint32Array): LengthBin[] {
  const longest = sorted.at(-1) ?? 0;
  const width = Math.max(1, Math.ceil(longest / BINS));
  const counts = Array.from({ length: Math.ceil(longest / width) }, () => 0);
  for (const length of sorted) counts[Math.ceil(length / width) - 1]!++;
  return counts.map((examples, i) => ({ from: i * width + 1, to: (i + 1) * width, examples }));
}

/** The token for what is not in the vocabulary; null where everything can be spelled. */
function unknownId({ parts: { json } }: Pick<Tokenizer, "parts">): number | null {
  const { model, added_tokens: added } = json;
  if (!isObject(model)) return null;
  const { unk_id: id, unk_token: token, vocab } = model;
  if (typeof id === "number") return id;
  if (typeof token !== "string") return null;
  const found = Array.isArray(added)
    ? added.filter(isObject).find(({ content }) => content === token)?.id
    : undefined;
  const spelled = isObject(vocab) ? vocab[token] : undefined;
  return [found, spelled].find((value) => typeof value === "number") as number | undefined ?? null;
}
