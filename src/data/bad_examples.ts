/** Examples that cannot be used: how many, why, where, and what would help. */
import { LIST_ITEM, SpielError } from "../errors.ts";
import { RecordError } from "../io/record_error.ts";

/** Reasons, and places of each, that are kept; what is beyond is counted. */
const MAX_REASONS = 10;
const MAX_PLACES = 10;
/** Reasons that are kept of a block: more than are told of all blocks, as some of them may be told for another's sake. */
const MAX_BLOCK_REASONS = 100;

/** An example that is too long for any of its trained tokens to be kept. */
export class TooLongError extends RecordError {
  /** @param length Tokens of the whole example. */
  constructor(where: string, maxLength: number, readonly length: number) {
    super(where, `none of the first ${maxLength} tokens is trained, so there is nothing to learn`);
  }
}

/** Examples with which the same is wrong. */
export interface BadGroup {
  /** How many there are. */
  readonly examples: number;
  /** File and lines of the first ones. */
  readonly where: string;
  /** What is wrong, and what would help where that is known. */
  readonly problem: string;
}

/** Examples of one block with which the same is wrong. Plain data, which can be sent and stored. */
export interface BadReason {
  reason: string;
  examples: number;
  /** Lines or rows of the first ones, as many as are ever told. */
  lines: number[];
  /** Tokens of the longest one, where length is what is wrong; else 0. */
  longest: number;
}

/** What is wrong with the examples of one block. Plain data, which can be sent and stored. */
export interface BlockProblems {
  /** The first reasons, in the order in which they were met. */
  reasons: BadReason[];
  /** Bad examples with which something else is wrong. */
  others: number;
}

/**
 * Gathers what is wrong in one block. Only all blocks together know which reasons are the first; those are among the
 * first of each.
 */
export class BadReasons {
  readonly #gathered = new Map<string, BadReason>();
  #others = 0;

  /** What was gathered. */
  get problems(): BlockProblems {
    return { reasons: [...this.#gathered.values()], others: this.#others };
  }

  add(error: RecordError, line: number): void {
    const { reason } = error;
    let found = this.#gathered.get(reason);
    if (found === undefined) {
      if (this.#gathered.size === MAX_BLOCK_REASONS) {
        this.#others++;
        return;
      }
      found = { reason, examples: 0, lines: [], longest: 0 };
      this.#gathered.set(reason, found);
    }
    found.examples++;
    if (found.lines.length < MAX_PLACES) found.lines.push(line);
    found.longest = Math.max(found.longest, lengthOf(error));
  }
}

interface Gathered {
  examples: number;
  places: string[];
  /** Tokens of the longest one, where length is what is wrong. */
  longest: number;
}

/** Gathers what is wrong with the examples of a data set. */
export class BadExamples {
  /** By reason. */
  readonly #gathered = new Map<string, Gathered>();
  #count = 0;

  /** Number of bad examples. */
  get count(): number {
    return this.#count;
  }

  /** The first reasons and their examples. */
  get groups(): BadGroup[] {
    return [...this.#gathered].map(([reason, { examples, places, longest }]) => ({
      examples,
      where: whereOf(places, examples),
      problem: longest === 0 ? reason : `${reason}; --max-length ${longest} keeps every token`,
    }));
  }

  add(error: RecordError): void {
    this.#add(error.reason, { examples: 1, places: [error.where], longest: lengthOf(error) });
  }

  /**
   * Adds those of a block; blocks come in their order.
   *
   * @param where Names the place of a line.
   */
  addBlock({ reasons, others }: BlockProblems, where: (line: number) => string): void {
    for (const { reason, examples, lines, longest } of reasons) {
      this.#add(reason, { examples, places: lines.map(where), longest });
    }
    this.#count += others;
  }

  #add(reason: string, { examples, places, longest }: Gathered): void {
    this.#count += examples;
    let found = this.#gathered.get(reason);
    if (found === undefined) {
      if (this.#gathered.size === MAX_REASONS) return;
      found = { examples: 0, places: [], longest: 0 };
      this.#gathered.set(reason, found);
    }
    found.examples += examples;
    found.places.push(...places.slice(0, MAX_PLACES - found.places.length));
    found.longest = Math.max(found.longest, longest);
  }

  /**
   * One error for all.
   *
   * @param total Number of examples, good and bad.
   * @param remedy What helps where some are good.
   */
  refusal(total: number, remedy: string): SpielError {
    const sentences = this.#sentences();
    const help = this.#count === total ? "" : `; ${remedy}`;
    const all = `${this.#count} of ${total} examples cannot be used${help}:${listOf(sentences)}`;
    return new SpielError("data", this.#count === 1 ? `${sentences[0]}${help}` : all);
  }

  /** What was left out, in words; null where nothing was. */
  notice(total: number): string | null {
    if (this.#count === 0) return null;
    return `left out ${this.#count} of ${total} examples:${listOf(this.#sentences())}`;
  }

  #sentences(): string[] {
    const groups = this.groups;
    const told = groups.reduce((sum, { examples }) => sum + examples, 0);
    const rest = this.#count === told ? [] : [`${this.#count - told} more`];
    return [...groups.map(({ where, problem }) => `${where}: ${problem}`), ...rest];
  }
}

function lengthOf(error: RecordError): number {
  return error instanceof TooLongError ? error.length : 0;
}

function listOf(sentences: readonly string[]): string {
  return sentences.map((sentence) => LIST_ITEM + sentence).join("");
}

/** Such as `train.jsonl:4, 9, 13 and 40 more`. */
export function whereOf(places: readonly string[], examples: number): string {
  let file = "";
  const shown = places.map((place) => {
    const before = file;
    file = place.slice(0, place.lastIndexOf(":") + 1);
    return file === before ? place.slice(file.length) : place;
  });
  const more = examples - places.length;
  return shown.join(", ") + (more === 0 ? "" : ` and ${more} more`);
}
