/** Packs examples into micro-batches: flat token lists with sequence borders, without padding. */
import { SpielError } from "../errors.ts";
import type { TokenizedExample } from "./example.ts";

/** Target of a position that is not trained. */
export const IGNORE = 0xFFFFFFFF;

/** Several sequences to compute at once. */
export interface MicroBatch {
  /** Token ids, sequence after sequence. */
  tokens: Uint32Array; // [T]
  /** The next token of the same sequence; IGNORE where it is not trained, and at each sequence's end. */
  targets: Uint32Array; // [T]
  /** Start of each sequence, and T. */
  cuSeqlens: Uint32Array; // [B + 1]
  /** Positions whose target is trained. */
  targetTokens: number;
}

/** How examples share micro-batches. */
export interface PackingOptions {
  /**
   * "ffd": first-fit decreasing, which fills micro-batches well and so reorders examples within a bounded window of
   * their order; "none": in order, each micro-batch filled until the next example does not fit.
   */
  policy: "ffd" | "none";
  /** The most tokens of a micro-batch. */
  microBatchTokens: number;
  /** The most examples of a micro-batch. Default: no limit. */
  microBatchExamples?: number | undefined;
}

/** Examples of each micro-batch, by index. */
export type PackingPlan = readonly (readonly number[])[];

/** Examples that "ffd" looks at together: enough to fill well, few enough to stay near the shuffled order. */
const WINDOW_EXAMPLES = 1024;

/**
 * Divides examples over micro-batches; each appears exactly once.
 *
 * @param order Indices of the examples, in the order to take them.
 * @param lengthOf Tokens of an example.
 * @throws {SpielError} kind "usage" when an example is longer than a micro-batch may be.
 */
export function packExamples(
  order: ArrayLike<number>,
  lengthOf: (example: number) => number,
  options: PackingOptions,
): PackingPlan {
  const lengths = Array.from(order, lengthOf);
  const tooLong = lengths.find((length) => length > options.microBatchTokens);
  if (tooLong !== undefined) {
    throw new SpielError(
      "usage",
      `An example has ${tooLong} tokens, but micro_batch_tokens is ${options.microBatchTokens}; ` +
        `expected at least max_length`,
    );
  }
  if (options.policy === "none") return gathered(order, 0, fillInOrder(lengths, options));
  const plan: number[][] = [];
  for (let start = 0; start < lengths.length; start += WINDOW_EXAMPLES) {
    const window = lengths.slice(start, start + WINDOW_EXAMPLES);
    plan.push(...gathered(order, start, firstFitDecreasing(window, options)));
  }
  return plan;
}

/** The bin of each place, in the order of the places. */
type Assignment = Uint32Array;

/** The examples of each bin, in their order. */
function gathered(order: ArrayLike<number>, start: number, binOf: Assignment): number[][] {
  const bins: number[][] = [];
  binOf.forEach((bin, place) => (bins[bin] ??= []).push(order[start + place]!));
  return bins;
}

function fillInOrder(lengths: readonly number[], options: PackingOptions): Assignment {
  const { microBatchTokens, microBatchExamples = Infinity } = options;
  let bin = -1;
  let room = 0;
  let examples = 0;
  return Uint32Array.from(lengths, (length) => {
    if (length > room || examples === microBatchExamples) {
      bin++;
      room = microBatchTokens;
      examples = 0;
    }
    room -= length;
    examples++;
    return bin;
  });
}

function firstFitDecreasing(lengths: readonly number[], options: PackingOptions): Assignment {
  const { microBatchTokens, microBatchExamples = Infinity } = options;
  const rooms = new Rooms(lengths.length, microBatchTokens);
  const binOf = new Uint32Array(lengths.length);
  /** The place of each bin's longest example, and how many examples it has. */
  const longest: number[] = [];
  const examples: number[] = [];
  for (const place of decreasing(lengths)) {
    const length = lengths[place]!;
    const bin = rooms.first(length);
    if (bin === longest.length) longest.push(place);
    binOf[place] = bin;
    examples[bin] = (examples[bin] ?? 0) + 1;
    rooms.set(bin, examples[bin] < microBatchExamples ? rooms.of(bin) - length : 0);
  }
  // Bins by the place of their longest example, which no property of a bin favours: long ones do not come first.
  const ranks = new Uint32Array(longest.length);
  let rank = 0;
  binOf.forEach((bin, place) => {
    if (longest[bin] === place) ranks[bin] = rank++;
  });
  return binOf.map((bin) => ranks[bin]!);
}

/** Places by length, the longest first; of equals the first. */
function decreasing(lengths: readonly number[]): Uint32Array {
  const keys = Float64Array.from(lengths, (length, place) => place - length * WINDOW_EXAMPLES);
  const sorted = keys.sort();
  return Uint32Array.from(
    sorted,
    (key) => key - Math.floor(key / WINDOW_EXAMPLES) * WINDOW_EXAMPLES,
  );
}

/** The room of every bin, all empty at first, as a tree of maxima in which the first with enough is found at once. */
class Rooms {
  readonly #leaves: number;
  /** Node i is the larger of its children, 2i and 2i + 1; the bins are the last level. */
  readonly #nodes: Uint32Array;

  constructor(bins: number, room: number) {
    this.#leaves = 2 ** Math.ceil(Math.log2(bins));
    this.#nodes = new Uint32Array(2 * this.#leaves).fill(room);
  }

  /** The first bin with at least this much room. An empty one is always left, as there are as many as items. */
  first(room: number): number {
    let node = 1;
    while (node < this.#leaves) {
      node *= 2;
      if (this.#nodes[node]! < room) node++;
    }
    return node - this.#leaves;
  }

  /** The room of one bin. */
  of(bin: number): number {
    return this.#nodes[bin + this.#leaves]!;
  }

  set(bin: number, room: number): void {
    let node = bin + this.#leaves;
    this.#nodes[node] = room;
    while (node > 1) {
      node >>= 1;
      this.#nodes[node] = Math.max(this.#nodes[2 * node]!, this.#nodes[2 * node + 1]!);
    }
  }
}

/** Joins examples into one micro-batch. */
export function joinExamples(examples: readonly TokenizedExample[]): MicroBatch {
  const total = examples.reduce((sum, { ids }) => sum + ids.length, 0);
  const tokens = new Uint32Array(total);
  const targets = new Uint32Array(total).fill(IGNORE);
  const cuSeqlens = new Uint32Array(examples.length + 1);
  let targetTokens = 0;
  let start = 0;
  examples.forEach(({ ids, trained }, sequence) => {
    tokens.set(ids, start);
    for (let i = 1; i < ids.length; i++) {
      if (trained[i] !== 1) continue;
      targets[start + i - 1] = ids[i]!;
      targetTokens++;
    }
    start += ids.length;
    cuSeqlens[sequence + 1] = start;
  });
  return { tokens, targets, cuSeqlens, targetTokens };
}
