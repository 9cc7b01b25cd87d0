/** The order of training: micro-batch k of a whole run as a pure function of (seed, settings, data). */
import { createHash } from "node:crypto";
import { SpielError } from "../errors.ts";
import type { Dataset } from "./dataset.ts";
import {
  joinExamples,
  type MicroBatch,
  packExamples,
  type PackingOptions,
  type PackingPlan,
} from "./packing.ts";
import { MixtureOrder, type MixtureSource } from "./mixture.ts";
import { mixKey, permuteIndex } from "./permutation.ts";

/** How micro-batches are made. */
export interface StreamOptions extends PackingOptions {
  /** Whole number that the order of every epoch follows from. */
  seed: number;
  /** Sources that examples are drawn from by weight. Default: every example once in an epoch. */
  mixture?: readonly MixtureSource[] | undefined;
}

/** A micro-batch and where its examples come from. */
export interface OriginatedMicroBatch extends MicroBatch {
  /** File and line of each sequence. */
  origins: string[];
}

/** Where a micro-batch stands. */
export interface StreamPosition {
  /** Passes over the data before this one. */
  epoch: number;
  /** Place in the epoch, from 0. */
  index: number;
  /** Micro-batches of the epoch. */
  count: number;
}

/** What a mixture takes of a source. */
export interface DrawnSource {
  /** What it is called. */
  name: string;
  /** Examples that it has. */
  examples: number;
  /** Examples that an epoch draws from it, some of them again where it has fewer. */
  drawn: number;
}

/**
 * Endless micro-batches: one shuffled pass over the data after another. Nothing is remembered between calls but
 * caches, so a resumed run needs only the index of its next micro-batch.
 */
export class MicroBatchStream {
  readonly #dataset: Dataset;
  readonly #options: StreamOptions;
  /** Null where every example is taken once in an epoch. */
  readonly #mixture: MixtureOrder | null;
  /** Micro-batches before each epoch, as far as known; one more entry than epochs. */
  readonly #before: number[] = [0];
  #cached: { epoch: number; plan: PackingPlan } | null = null;

  /**
   * Plans the first epoch.
   *
   * @throws {SpielError} kind "usage" when the longest example does not fit a micro-batch; "data" without examples, of
   * all or of one source of a mixture.
   */
  constructor(dataset: Dataset, options: StreamOptions) {
    if (dataset.length === 0) throw new SpielError("data", "There are no examples to train on");
    this.#dataset = dataset;
    this.#options = options;
    this.#mixture = options.mixture === undefined
      ? null
      : mixtureOrder(dataset, options.mixture, options.seed);
    this.#plan(0);
  }

  /** Micro-batch `index`, counted over all epochs. */
  microBatch(index: number): OriginatedMicroBatch {
    return joined(this.#dataset, this.examplesOf(index));
  }

  /** Indices of the examples of micro-batch `index`. */
  examplesOf(index: number): readonly number[] {
    const position = this.position(index);
    return this.#plan(position.epoch)[position.index]!;
  }

  /** Where micro-batch `index` stands. */
  position(index: number): StreamPosition {
    // The last epoch that begins at or before the index.
    let low = 0;
    while (this.#before.at(-1)! <= index) this.microBatchesIn(this.#before.length - 1);
    let high = this.#before.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.#before[middle]! <= index) low = middle;
      else high = middle;
    }
    const start = this.#before[low]!;
    return { epoch: low, index: index - start, count: this.#before[low + 1]! - start };
  }

  /** Passes over the data before micro-batch `index`, with a fraction. */
  epochAt(index: number): number {
    // At the end of what is planned no further epoch need be.
    if (index === this.#before.at(-1)) return this.#before.length - 1;
    const { epoch, index: inEpoch, count } = this.position(index);
    return epoch + inEpoch / count;
  }

  /** Number of micro-batches of an epoch. It varies a little, as the order decides how examples fit together. */
  microBatchesIn(epoch: number): number {
    for (let known = this.#before.length - 1; known <= epoch; known++) {
      this.#before.push(this.#before[known]! + this.#plan(known).length);
    }
    return this.#before[epoch + 1]! - this.#before[epoch]!;
  }

  /** Share of the micro-batches' capacity that an epoch's tokens fill, 0 to 1. */
  fillRate(epoch: number): number {
    const plan = this.#plan(epoch);
    let tokens = 0;
    for (const examples of plan) {
      for (const example of examples) tokens += this.#dataset.lengthOf(example);
    }
    return tokens / (plan.length * this.#options.microBatchTokens);
  }

  /** What an epoch draws from each source of a mixture; null where it takes every example once. */
  get drawn(): readonly DrawnSource[] | null {
    const { mixture = [] } = this.#options;
    return this.#mixture?.sources.map((source, i) => ({ name: mixture[i]!.name, ...source })) ??
      null;
  }

  /** SHA-256 (hex) of all that the order and content of micro-batches depend on. */
  get fingerprint(): string {
    const { seed, policy, microBatchTokens, microBatchExamples = null } = this.#options;
    const settings = [
      this.#dataset.fingerprint,
      seed,
      policy,
      microBatchTokens,
      microBatchExamples,
      // The numbers of examples, not the weights, as weights of equal shares are equal.
      ...(this.#mixture?.sources.map(({ examples, drawn }) => [examples, drawn]) ?? []),
    ];
    return createHash("sha256").update(JSON.stringify(settings)).digest("hex");
  }

  #plan(epoch: number): PackingPlan {
    if (this.#cached?.epoch !== epoch) {
      const { length } = this.#dataset;
      const key = mixKey(this.#options.seed, epoch);
      const example = (place: number) =>
        this.#mixture?.example(epoch, place) ?? permuteIndex(place, length, key);
      const order = Uint32Array.from({ length }, (_, place) => example(place));
      const plan = packExamples(order, (i) => this.#dataset.lengthOf(i), this.#options);
      this.#cached = { epoch, plan };
    }
    return this.#cached.plan;
  }
}

function mixtureOrder(
  dataset: Dataset,
  sources: readonly MixtureSource[],
  seed: number,
): MixtureOrder {
  let file = 0;
  const parts = sources.map(({ name, files, weight }) => {
    const start = dataset.examplesBefore(file);
    const length = dataset.examplesBefore(file += files) - start;
    if (length === 0) {
      throw new SpielError("data", `There are no examples of "${name}" to train on`);
    }
    return { start, length, weight };
  });
  return new MixtureOrder(parts, seed);
}

/** Micro-batches of examples once, in their order, for evaluation; each is made when its turn comes. */
export class SequentialMicroBatches implements Iterable<OriginatedMicroBatch> {
  readonly #dataset: Dataset;
  readonly #plan: PackingPlan;

  /**
   * Plans them.
   *
   * @param count Most examples, the first ones; all when absent.
   */
  constructor(
    dataset: Dataset,
    limits: Pick<PackingOptions, "microBatchTokens" | "microBatchExamples">,
    count: number = dataset.length,
  ) {
    const order = Uint32Array.from({ length: Math.min(count, dataset.length) }, (_, i) => i);
    const options: PackingOptions = { ...limits, policy: "none" };
    this.#dataset = dataset;
    this.#plan = packExamples(order, (i) => dataset.lengthOf(i), options);
  }

  /** Examples of all of them. */
  get examples(): number {
    return this.#plan.reduce((sum, examples) => sum + examples.length, 0);
  }

  /** One after another. */
  *[Symbol.iterator](): Generator<OriginatedMicroBatch> {
    for (const examples of this.#plan) yield joined(this.#dataset, examples);
  }
}

function joined(dataset: Dataset, examples: readonly number[]): OriginatedMicroBatch {
  return {
    ...joinExamples(examples.map((example) => dataset.example(example))),
    origins: examples.map((example) => dataset.origin(example)),
  };
}
