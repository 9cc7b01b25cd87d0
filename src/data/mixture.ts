/** Several sources of examples that share an epoch by weight. */
import { SpielError } from "../errors.ts";
import { shownName } from "../io/web_address.ts";
import { mixKey, permuteIndex } from "./permutation.ts";

/** A source as it is named, apart from its weight. */
export interface NamedSource {
  /** A path, or whatever else stands for files. */
  name: string;
  /** Above 0, as it was given; null without one. */
  weight: number | null;
}

/** What may be meant as a weight. */
const WEIGHT =
  /^(?<name>.+):(?<weight>[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|nan|[+-]?inf(?:inity)?)$/i;

/**
 * Takes the weights off the names of sources: `a.jsonl:0.7`. What exists by its whole name is no name with a weight.
 *
 * @throws {SpielError} kind "usage" for a weight that is none, or where some sources have one and others do not.
 */
export function namedSources(names: readonly string[]): NamedSource[] {
  const sources = names.map(namedSource);
  const without = sources.find(({ weight }) => weight === null);
  const withOne = names.find((_, i) => sources[i]!.weight !== null);
  if (without === undefined || withOne === undefined) return sources;
  throw new SpielError(
    "usage",
    `data "${shownName(withOne)}" has a weight, and "${
      shownName(without.name)
    }" has none; expected a weight for each, or for none`,
  );
}

function namedSource(named: string): NamedSource {
  const found = WEIGHT.exec(named)?.groups;
  if (found === undefined || exists(named)) return { name: named, weight: null };
  const weight = Number(found["weight"]);
  if (weight > 0 && weight < Infinity) return { name: found["name"]!, weight };
  throw new SpielError(
    "usage",
    `data "${shownName(named)}" has the weight ${
      found["weight"]
    }; expected a number above 0, such as 0.7`,
  );
}

/** Whether there is something that may be looked at. */
function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

/** A source that shares an epoch with others. */
export interface MixtureSource {
  /** What it is called. */
  name: string;
  /** Its files, which follow those of the sources before. */
  files: number;
  /** Above 0. */
  weight: number;
}

/** A stretch of a data set, and how much it weighs among the others. */
export interface MixturePart {
  /** Index of its first example. */
  start: number;
  /** Number of examples, at least one. */
  length: number;
  weight: number;
}

/**
 * The examples of an epoch, drawn by weight. An epoch has as many draws as there are examples. A source is gone
 * through in a shuffled order of its own, and again in another when it is at its end; it goes on with the next epoch
 * where it was. Each draw is a pure function of the seed, the epoch and the place in it.
 */
export class MixtureOrder {
  readonly #parts: readonly MixturePart[];
  readonly #seed: number;
  /** Draws of the parts before each, and of all. */
  readonly #before = [0];

  constructor(parts: readonly MixturePart[], seed: number) {
    this.#parts = parts;
    this.#seed = seed;
    const draws = parts.reduce((sum, { length }) => sum + length, 0);
    for (const share of sharesOf(draws, parts.map(({ weight }) => weight))) {
      this.#before.push(this.#before.at(-1)! + share);
    }
  }

  /** Draws of an epoch. */
  get length(): number {
    return this.#before.at(-1)!;
  }

  /** Examples of each part, and how many an epoch draws. */
  get sources(): { examples: number; drawn: number }[] {
    return this.#parts.map(({ length }, i) => ({
      examples: length,
      drawn: this.#before[i + 1]! - this.#before[i]!,
    }));
  }

  /** The example at a place of an epoch. */
  example(epoch: number, place: number): number {
    const slot = permuteIndex(place, this.length, mixKey(this.#seed, epoch));
    const index = this.#before.findLastIndex((before) => before <= slot);
    const { start, length } = this.#parts[index]!;
    const [first, end] = [this.#before[index]!, this.#before[index + 1]!];
    const draw = epoch * (end - first) + slot - first;
    const key = mixKey(this.#seed, Math.floor(draw / length), index);
    return start + permuteIndex(draw % length, length, key);
  }
}

/** Divides a whole number by weights: rounded down, and the rest to those that lost most by it; of equals the first. */
export function sharesOf(total: number, weights: readonly number[]): number[] {
  const sum = weights.reduce((sum, weight) => sum + weight, 0);
  const exact = weights.map((weight) => total * (weight / sum));
  const shares = exact.map(Math.floor);
  const rest = total - shares.reduce((sum, share) => sum + share, 0);
  const byLoss = exact.map((value, i) => [value - shares[i]!, i] as const)
    .sort(([a, i], [b, j]) => b - a || i - j);
  for (const [, i] of byLoss.slice(0, rest)) shares[i]!++;
  return shares;
}
