/** Examples from JSON Lines files, tokenised once and held in memory. */
import { createHash } from "node:crypto";
import { SpielError } from "../errors.ts";
import { type JsonLine, readJsonLine, readJsonLines } from "../io/json_lines.ts";
import { ExampleEncoder, type Question, type TokenizedExample } from "./example.ts";
import {
  checkFieldMap,
  chooseFormat,
  type DataFormat,
  type FieldMap,
  type FormatChoice,
  RecordFields,
} from "./formats/mod.ts";
import { TokenStore } from "./token_store.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** What to load. */
export interface DatasetOptions {
  /** JSON Lines files, taken one after another. */
  paths: readonly string[];
  /** The model's tokenizer. */
  tokenizer: Tokenizer;
  /** The most tokens of an example; longer ones are cut. */
  maxLength: number;
  /** How records are read. Default "auto": each file by its first record. */
  format?: FormatChoice | undefined;
  /** Names of the records' fields by those of the format. */
  map?: FieldMap | undefined;
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
interface Origin extends Pick<JsonLine, "line" | "byteOffset" | "byteLength"> {
  path: string;
  format: DataFormat;
}

/** Examples between two pauses, in which timers and signals are served. */
const EXAMPLES_PER_TURN = 256;

/**
 * Loads and tokenises data.
 *
 * @throws {SpielError} kind "data" naming file, line and field of the first bad record; "usage" for a bad format or
 * map; "interrupted" when the signal fires.
 */
export async function loadDataset(options: DatasetOptions): Promise<Dataset> {
  const { tokenizer, maxLength, format = "auto", map = {}, signal } = options;
  checkFieldMap(map);
  const encoder = new ExampleEncoder(tokenizer);
  const store = new TokenStore();
  const origins: Origin[] = [];
  for (const path of options.paths) {
    let fileFormat: DataFormat | null = null;
    for (const { record, ...place } of readJsonLines(path)) {
      const where = `${path}:${place.line}`;
      const fields = new RecordFields(where, record, map);
      fileFormat ??= chooseFormat(format, fields);
      store.push(encoder.encode(fileFormat.read(fields), where, maxLength));
      origins.push({ path, format: fileFormat, ...place });
      if (store.length % EXAMPLES_PER_TURN !== 0) continue;
      await options.onProgress?.(store.length);
      await new Promise((resolve) => setTimeout(resolve, 0));
      if (signal?.aborted) throw new SpielError("interrupted", "Stopped while reading the data");
    }
    if (fileFormat === null) throw new SpielError("data", `${path} has no records`);
  }
  return new Dataset(store, origins, encoder, map);
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

  /** @internal Use `loadDataset`. */
  constructor(
    store: TokenStore,
    origins: readonly Origin[],
    encoder: ExampleEncoder,
    map: FieldMap,
  ) {
    this.#store = store;
    this.#origins = origins;
    this.#encoder = encoder;
    this.#map = map;
    this.counts = countsOf(store);
    this.fingerprint = fingerprintOf(store);
  }

  /** Number of examples. */
  get length(): number {
    return this.#store.length;
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
    const { path, line } = this.#origins[index]!;
    return `${path}:${line}`;
  }

  /**
   * What to ask the model to see whether it answers as example `index` does, read from its file again; null when the
   * example is no question.
   *
   * @throws {SpielError} kind "data" when the file has changed.
   */
  prompt(index: number): Question | null {
    const { path, format, ...place } = this.#origins[index]!;
    const record = readJsonLine(path, place);
    return this.#encoder.question(
      format.read(new RecordFields(this.origin(index), record, this.#map)),
    );
  }
}

function countsOf(store: TokenStore): DatasetCounts {
  const counts = {
    examples: store.length,
    tokens: store.tokens,
    targetTokens: 0,
    truncatedExamples: 0,
    truncatedTokens: 0,
  };
  for (let i = 0; i < store.length; i++) {
    const { trained, truncatedTokens } = store.get(i);
    counts.targetTokens += trained.subarray(1).reduce((sum, flag) => sum + flag, 0);
    counts.truncatedTokens += truncatedTokens;
    if (truncatedTokens > 0) counts.truncatedExamples++;
  }
  return counts;
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
