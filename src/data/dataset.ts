/** Examples from data files, tokenised once and held in memory. */
import { createHash } from "node:crypto";
import { SpielError } from "../errors.ts";
import { RecordError } from "../io/record_error.ts";
import { BadExamples, type BadGroup } from "./bad_examples.ts";
import { type DataFile, openDataFiles, type ReadingOptions } from "./data_files.ts";
import { ExampleEncoder, type Question, type TokenizedExample } from "./example.ts";
import { openRecords, readRecords, type RecordPlace } from "./files/mod.ts";
import { type FieldMap, RecordFields } from "./formats/mod.ts";
import { TokenStore } from "./token_store.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** What to load. */
export interface DatasetOptions extends ReadingOptions {
  /** Data files, taken one after another. */
  paths: readonly string[];
  /** The model's tokenizer. */
  tokenizer: Tokenizer;
  /** The most tokens of an example; longer ones are cut. */
  maxLength: number;
  /**
   * What to do about examples that cannot be used: "refuse" the data, "skip" them, or only "report" them, which is
   * the same but allows that none is left. Default "refuse".
   */
  bad?: "refuse" | "skip" | "report" | undefined;
  /** Stops the reading. */
  signal?: AbortSignal | undefined;
  /** Told from time to time how many examples have been read, and awaited. */
  onProgress?: ((examples: number) => void | Promise<void>) | undefined;
}

/** What was loaded. */
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

/** Where an example comes from. */
interface Origin {
  file: DataFile;
  where: string;
  place: RecordPlace;
}

/** Records between two pauses, in which timers and signals are served. */
const RECORDS_PER_TURN = 256;

/**
 * Loads and tokenises data.
 *
 * @throws {SpielError} kind "data" naming file and line of what cannot be used, and how much there is of it; "usage"
 * for a bad format or map; "interrupted" when the signal fires.
 */
export async function loadDataset(options: DatasetOptions): Promise<Dataset> {
  const { tokenizer, maxLength, map = {}, signal, bad: policy = "refuse" } = options;
  const files = await openDataFiles(options.paths, options);
  const encoder = new ExampleEncoder(tokenizer, options.trainOn);
  const store = new TokenStore();
  const origins: Origin[] = [];
  const bad = new BadExamples();
  for (const file of files) {
    for await (const { where, place, parse } of readRecords(file)) {
      try {
        const sample = file.format.read(new RecordFields(where, parse(), map));
        store.push(encoder.encode(sample, where, maxLength));
        origins.push({ file, where, place });
      } catch (error) {
        if (!(error instanceof RecordError)) throw error;
        bad.add(error);
      }
      const read = store.length + bad.count;
      if (read % RECORDS_PER_TURN !== 0) continue;
      await options.onProgress?.(read);
      await new Promise((resolve) => setTimeout(resolve, 0));
      if (signal?.aborted) throw new SpielError("interrupted", "Stopped while reading the data");
    }
  }
  const isRefused = policy === "refuse" ? bad.count > 0 : policy === "skip" && store.length === 0;
  if (isRefused) throw bad.refusal(store.length + bad.count);
  return new Dataset(store, origins, encoder, map, bad);
}

/** Tokenised examples. */
export class Dataset {
  /** What was loaded. */
  readonly counts: Readonly<DatasetCounts>;
  /** SHA-256 (hex) of all tokens and masks. */
  readonly fingerprint: string;
  readonly #store: TokenStore;
  readonly #origins: readonly Origin[];
  readonly #encoder: ExampleEncoder;
  readonly #map: FieldMap;
  readonly #bad: BadExamples;

  /** @internal Use `loadDataset`. */
  constructor(
    store: TokenStore,
    origins: readonly Origin[],
    encoder: ExampleEncoder,
    map: FieldMap,
    bad: BadExamples,
  ) {
    this.#store = store;
    this.#origins = origins;
    this.#encoder = encoder;
    this.#map = map;
    this.#bad = bad;
    this.counts = this.countsOfFirst(store.length);
    this.fingerprint = fingerprintOf(store);
  }

  /** Number of examples. */
  get length(): number {
    return this.#store.length;
  }

  /** Examples that could not be used, by what is wrong with them; the first reasons where there are many. */
  get bad(): BadGroup[] {
    return this.#bad.groups;
  }

  /** Number of examples that could not be used. */
  get badExamples(): number {
    return this.#bad.count;
  }

  /** What was left out and why, in words; null where nothing was. */
  get badNotice(): string | null {
    return this.#bad.notice(this.length + this.#bad.count);
  }

  /** What cannot be learnt from the answers of where they end, in words; null where all is well. */
  get endNotice(): string | null {
    return this.#encoder.endNotice;
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
    for (let i = 0; i < counts.examples; i++) {
      const { ids, trained, truncatedTokens } = this.#store.get(i);
      counts.tokens += ids.length;
      counts.targetTokens += trained.reduce((sum, flag) => sum + flag, 0);
      counts.truncatedTokens += truncatedTokens;
      if (truncatedTokens > 0) counts.truncatedExamples++;
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
    return this.#store.lengthOf(index);
  }

  /** One example, as views that must not be written to. */
  example(index: number): TokenizedExample {
    return this.#store.get(index);
  }

  /** File and line of an example, such as `train.jsonl:12`. */
  origin(index: number): string {
    return this.#origins[index]!.where;
  }

  /**
   * What to ask the model to see whether it answers as example `index` does, read from its file again; null when the
   * example is no question.
   *
   * @throws {SpielError} kind "data" when the file has changed.
   */
  async prompt(index: number): Promise<Question | null> {
    const { file, where, place } = this.#origins[index]!;
    using records = await openRecords(file);
    const record = await records.read(place);
    return this.#encoder.question(file.format.read(new RecordFields(where, record, this.#map)));
  }
}

function fingerprintOf(store: TokenStore): string {
  const hash = createHash("sha256");
  for (let i = 0; i < store.length; i++) {
    const { ids, trained } = store.get(i);
    hash.update(Uint32Array.of(ids.length));
    hash.update(ids);
    hash.update(trained);
  }
  return hash.digest("hex");
}
