/** Tokenised examples by their index, of one or several files, wherever they are kept. */
import { createHash } from "node:crypto";
import type { BadExamples, BadGroup } from "./bad_examples.ts";
import type { ExampleEncoder, Question, TokenizedExample } from "./example.ts";
import { openRecords, type RecordFile } from "./files/mod.ts";
import { type FieldMap, RecordFields } from "./formats/mod.ts";
import { decodeExample, tokensIn } from "./prepare/block.ts";
import type { PreparedFile, PreparedFiles } from "./prepare/prepare.ts";
import type { Shard } from "./prepare/shard.ts";
import { HashSet } from "./hash_set.ts";

/** What a data set holds. */
export interface DatasetCounts {
  /** Number of examples. */
  examples: number;
  /** Tokens of all examples. */
  tokens: number;
  /** Tokens that are predicted in training. */
  targetTokens: number;
  /** Examples that were cut, and tokens cut off. */
  truncatedExamples: number;
  /** Tokens cut off. */
  truncatedTokens: number;
}

/** What a data set is made of. */
export interface DatasetParts {
  prepared: PreparedFiles;
  /** Makes questions of examples, and knows what the answers' ends are. */
  encoder: ExampleEncoder;
  map: FieldMap;
  bad: BadExamples;
}

/** A shard and what stands before it. */
interface PlacedShard extends Pick<PreparedFile, "file" | "version"> {
  shard: Shard;
  /** Examples of the shards before it. */
  first: number;
}

/** Tokenised examples. Those that were made of the same files are disposed of together. */
export class Dataset implements Disposable {
  /** Number of examples. */
  readonly length: number;
  readonly #parts: DatasetParts;
  readonly #shards: PlacedShard[] = [];
  /** Examples of all files. */
  readonly #total: number;
  /** Which of all files' examples these are, ascending; null for all. */
  readonly #chosen: Uint32Array | null;
  #fingerprint: string | undefined;

  /** @internal Use `loadDataset`. */
  constructor(parts: DatasetParts, chosen: Uint32Array | null = null) {
    this.#parts = parts;
    this.#chosen = chosen;
    let first = 0;
    for (const { file, version, shards } of parts.prepared.files) {
      for (const shard of shards) {
        if (shard.length > 0) this.#shards.push({ file, version, shard, first });
        first += shard.length;
      }
    }
    this.#total = first;
    this.length = chosen?.length ?? first;
  }

  /** What it holds. */
  get counts(): DatasetCounts {
    return this.countsOfFirst(this.length);
  }

  /** SHA-256 (hex) of all tokens and masks. */
  get fingerprint(): string {
    if (this.#fingerprint === undefined) {
      const hash = createHash("sha256");
      for (const bytes of this.#allBytes()) hash.update(bytes);
      this.#fingerprint = hash.digest("hex");
    }
    return this.#fingerprint;
  }

  /** Examples that could not be used, by what is wrong with them; the first reasons where there are many. */
  get bad(): BadGroup[] {
    return this.#parts.bad.groups;
  }

  /** Number of examples that could not be used. */
  get badExamples(): number {
    return this.#parts.bad.count;
  }

  /** What was left out and why, in words; null where nothing was. */
  get badNotice(): string | null {
    return this.#parts.bad.notice(this.#total + this.badExamples);
  }

  /** What cannot be learnt from the answers of where they end, in words; null where all is well. */
  get endNotice(): string | null {
    return this.#parts.encoder.endNotice;
  }

  /** What the first examples hold. */
  countsOfFirst(examples: number): DatasetCounts {
    const counts = {
      examples: Math.min(examples, this.length),
      tokens: 0,
      targetTokens: 0,
      truncatedExamples: 0,
      truncatedTokens: 0,
    };
    for (let index = 0; index < counts.examples; index++) {
      const { shard, at } = this.#find(index);
      const truncated = shard.truncated[at]!;
      counts.tokens += lengthIn(shard, at);
      counts.targetTokens += shard.targets[at]!;
      counts.truncatedTokens += truncated;
      if (truncated > 0) counts.truncatedExamples++;
    }
    return counts;
  }

  /** Tokens of the longest example. */
  get longest(): number {
    let longest = 0;
    for (let i = 0; i < this.length; i++) longest = Math.max(longest, this.lengthOf(i));
    return longest;
  }

  /** Tokens of one example. */
  lengthOf(index: number): number {
    const { shard, at } = this.#find(index);
    return lengthIn(shard, at);
  }

  /** Tokens that were cut off one example. */
  truncatedOf(index: number): number {
    const { shard, at } = this.#find(index);
    return shard.truncated[at]!;
  }

  /** One example. */
  example(index: number): TokenizedExample {
    const { shard, at } = this.#find(index);
    const bytes = shard.read(shard.starts[at]!, shard.starts[at + 1]!);
    return { ...decodeExample(bytes), truncatedTokens: shard.truncated[at]! };
  }

  /** File and line of an example, such as `train.jsonl:12`. */
  origin(index: number): string {
    const { file: { kind, path }, shard, at } = this.#find(index);
    return kind.where(path, shard.place(at));
  }

  /**
   * What to ask the model to see whether it answers as the examples do, of all that are questions, read from their files
   * again.
   *
   * @throws {SpielError} kind "data" when a file has changed since it was prepared.
   */
  async *questions(): AsyncGenerator<Question> {
    for (let index = 0; index < this.length;) {
      const { file, version } = this.#find(index);
      using records = await openRecords(file);
      version.refuseChange(file.path);
      for (; index < this.length && this.#find(index).file === file; index++) {
        const question = await this.#question(index, records);
        if (question !== null) yield question;
      }
    }
  }

  async #question(index: number, records: RecordFile): Promise<Question | null> {
    const { file, shard, at } = this.#find(index);
    const record = await records.read(shard.place(at));
    const fields = new RecordFields(this.origin(index), record, this.#parts.map);
    return this.#parts.encoder.question(file.format.read(fields));
  }

  /**
   * Holds examples out: by their words alone, so that the same ones are held out for every model, and equal ones lie
   * on one side.
   *
   * @param share Of all examples, about; above 0 and below 1.
   */
  split(share: number): { train: Dataset; heldOut: Dataset } {
    const isHeldOut = (index: number) => this.#hashOf(index)[0] / 2 ** 32 < share;
    return {
      train: this.#choose((index) => !isHeldOut(index)),
      heldOut: this.#choose(isHeldOut),
    };
  }

  /** The first of every example in words that there is. */
  withoutRepeats(): Dataset {
    const seen = new HashSet(this.length);
    return this.#choose((index) => seen.add(...this.#hashOf(index)));
  }

  /** How many of the examples another data set has as well, in the same words. */
  sharedWith(other: Dataset): number {
    const own = new HashSet(this.length);
    for (let index = 0; index < this.length; index++) own.add(...this.#hashOf(index));
    const met = new HashSet(this.length);
    for (let index = 0; index < other.length; index++) {
      const hash = other.#hashOf(index);
      if (own.has(...hash)) met.add(...hash);
    }
    let shared = 0;
    for (let index = 0; index < this.length; index++) if (met.has(...this.#hashOf(index))) shared++;
    return shared;
  }

  /** How many of the examples are in the first files. */
  examplesBefore(file: number): number {
    let before = 0;
    for (const { shards } of this.#parts.prepared.files.slice(0, file)) {
      for (const { length } of shards) before += length;
    }
    const chosen = this.#chosen;
    return chosen === null ? before : firstFrom(chosen.length, (i) => chosen[i]! >= before);
  }

  /** Closes what is open of the cache, which may then be removed. */
  [Symbol.dispose](): void {
    this.#parts.prepared[Symbol.dispose]();
  }

  #choose(isWanted: (index: number) => boolean): Dataset {
    const chosen: number[] = [];
    for (let index = 0; index < this.length; index++) {
      if (isWanted(index)) chosen.push(this.#chosen?.[index] ?? index);
    }
    return new Dataset(this.#parts, Uint32Array.from(chosen));
  }

  #hashOf(index: number): [number, number] {
    const { shard: { hashes }, at } = this.#find(index);
    return [hashes[2 * at]!, hashes[2 * at + 1]!];
  }

  /** The bytes of all examples, read shard by shard. */
  *#allBytes(): Generator<Uint8Array> {
    const chosen = this.#chosen;
    let next = 0;
    for (const { shard, first } of this.#shards) {
      const { starts, length } = shard;
      const bytes = shard.read(0, starts[length]!);
      if (chosen === null) {
        yield bytes;
        continue;
      }
      for (; next < chosen.length && chosen[next]! < first + length; next++) {
        const at = chosen[next]! - first;
        yield bytes.subarray(starts[at], starts[at + 1]);
      }
    }
  }

  /** The shard of an example, and its index there. */
  #find(position: number): PlacedShard & { at: number } {
    const index = this.#chosen?.[position] ?? position;
    const after = firstFrom(this.#shards.length, (i) => this.#shards[i]!.first > index);
    const found = this.#shards[after - 1]!;
    return { ...found, at: index - found.first };
  }
}

/** The first of 0 … count - 1 for which something holds that holds for all after it too; count where for none. */
function firstFrom(count: number, holds: (index: number) => boolean): number {
  let low = 0;
  for (let high = count; low < high;) {
    const middle = (low + high) >> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function lengthIn({ starts }: Shard, at: number): number {
  return tokensIn(starts[at + 1]! - starts[at]!);
}
