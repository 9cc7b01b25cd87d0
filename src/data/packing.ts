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
  const items = Array.from(order, (example, position) => {
    const length = lengthOf(example);
    if (length > options.microBatchTokens) {
      throw new SpielError(
        "usage",
        `An example has ${length} tokens, but micro_batch_tokens is ${options.microBatchTokens}; ` +
          `expected at least max_length`,
      );
    }
    return { example, position, length };
  });
  if (options.policy === "none") return bins(fillInOrder(items, options));
  const packed: Bin[] = [];
  for (let start = 0; start < items.length; start += WINDOW_EXAMPLES) {
    packed.push(...firstFitDecreasing(items.slice(start, start + WINDOW_EXAMPLES), options));
  }
  return bins(packed);
}

interface Item {
  example: number;
  /** Place in the order. */
  position: number;
  length: number;
}

interface Bin {
  items: Item[];
  tokens: number;
}

function bins(packed: readonly Bin[]): PackingPlan {
  return packed.map(({ items }) => items.map(({ example }) => example));
}

function fits(bin: Bin, item: Item, options: PackingOptions): boolean {
  return bin.tokens + item.length <= options.microBatchTokens &&
    bin.items.length < (options.microBatchExamples ?? Infinity);
}

function fillInOrder(items: readonly Item[], options: PackingOptions): Bin[] {
  const packed: Bin[] = [];
  for (const item of items) put(item, packed, packed.at(-1), options);
  return packed;
}

function firstFitDecreasing(items: readonly Item[], options: PackingOptions): Bin[] {
  const packed: Bin[] = [];
  const decreasing = [...items].sort((a, b) => b.length - a.length || a.position - b.position);
  for (const item of decreasing) {
    put(item, packed, packed.find((bin) => fits(bin, item, options)), options);
  }
  // By the place of the longest example, which no property of a bin favours: long ones do not come first.
  packed.sort((a, b) => a.items[0]!.position - b.items[0]!.position);
  for (const bin of packed) bin.items.sort((a, b) => a.position - b.position);
  return packed;
}

/** Puts an item into a bin if there is one and it fits, else into a new one. */
function put(item: Item, packed: Bin[], bin: Bin | undefined, options: PackingOptions): void {
  if (bin !== undefined && fits(bin, item, options)) {
    bin.items.push(item);
    bin.tokens += item.length;
  } else {
    packed.push({ items: [item], tokens: item.length });
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
