/** Turns a block of records into tokens: the one way of doing it, for this process and for workers. */
import { RecordError } from "../../io/record_error.ts";
import { BadReasons, type BlockProblems } from "../bad_examples.ts";
import { ExampleEncoder, type TokenizedExample } from "../example.ts";
import type { RecordAt, RecordPlace } from "../files/mod.ts";
import { type DataFormat, type FieldMap, RecordFields } from "../formats/mod.ts";
import type { Tokenizer } from "../tokenizer.ts";
import type { TrainOn } from "../train_on.ts";
import { hashOf } from "./example_hash.ts";

/** All that decides what a record becomes, besides the tokenizer and the record's format. Plain data. */
export interface Encoding {
  map: FieldMap;
  /** The most tokens of an example. */
  maxLength: number;
  trainOn: TrainOn;
}

/** The arrays of a prepared block of N examples. */
export interface BlockArrays {
  /**
   * The examples one after another: the number of tokens as u32, the ids as u32 and the flags of trained ones as u8,
   * little-endian. The fingerprint of a data set is the SHA-256 of this.
   */
  examples: Uint8Array<ArrayBuffer>;
  /** Where each example begins in `examples`, and the end of the last. */
  starts: Uint32Array<ArrayBuffer>; // [N + 1]
  /** Trained tokens of each. */
  targets: Uint32Array<ArrayBuffer>; // [N]
  /** Tokens cut off each. */
  truncated: Uint32Array<ArrayBuffer>; // [N]
  /** `hashOf` each example in words, before any tokenizer sees it. */
  hashes: Uint32Array<ArrayBuffer>; // [N, 2]
  /** `RecordPlace` of each: line, offset, length. */
  places: Float64Array<ArrayBuffer>; // [N, 3]
}

/** What the records of a block became. Plain data, which can be sent and stored. */
export interface PreparedBlock {
  arrays: BlockArrays;
  /** What is wrong with records that cannot be used. */
  bad: BlockProblems;
  /** As `ExampleEncoder.hasEnds`. */
  hasEnds: boolean | null;
}

/** Bytes of the number of an example's tokens, and of each token, in `BlockArrays.examples`. */
const LENGTH_BYTES = 4;
const TOKEN_BYTES = 5;

/** Makes blocks of one tokenizer. */
export class BlockPreparer {
  readonly #tokenizer: Tokenizer;
  readonly #encoding: Encoding;

  constructor(tokenizer: Tokenizer, encoding: Encoding) {
    this.#tokenizer = tokenizer;
    this.#encoding = encoding;
  }

  /**
   * Reads and tokenises records.
   *
   * @param onRecord Told after each record, and awaited where it returns a promise.
   */
  async prepare(
    records: AsyncIterable<RecordAt>,
    format: DataFormat,
    onRecord: () => void | Promise<void>,
  ): Promise<PreparedBlock> {
    const { map, maxLength, trainOn } = this.#encoding;
    const encoder = new ExampleEncoder(this.#tokenizer, trainOn);
    const builder = new ArraysBuilder();
    const bad = new BadReasons();
    for await (const { where, place, parse } of records) {
      try {
        const sample = format.read(new RecordFields(where, parse(), map));
        builder.push(encoder.encode(sample, where, maxLength), hashOf(sample), place);
      } catch (error) {
        if (!(error instanceof RecordError)) throw error;
        bad.add(error, place.line);
      }
      const pause = onRecord();
      if (pause !== undefined) await pause;
    }
    return { arrays: builder.arrays(), bad: bad.problems, hasEnds: encoder.hasEnds };
  }
}

/** Tokens of an example that takes so many bytes in `BlockArrays.examples`. */
export function tokensIn(exampleBytes: number): number {
  return (exampleBytes - LENGTH_BYTES) / TOKEN_BYTES;
}

/** An example from its bytes of `BlockArrays.examples`, which begin at their buffer's start. */
export function decodeExample({ buffer, byteLength }: Uint8Array<ArrayBuffer>) {
  const length = tokensIn(byteLength);
  return {
    ids: new Uint32Array(buffer, LENGTH_BYTES, length),
    trained: new Uint8Array(buffer, LENGTH_BYTES + 4 * length, length),
  };
}

/** Grows the arrays of a block. */
class ArraysBuilder {
  #examples = new Uint8Array(1 << 16);
  readonly #starts = [0];
  readonly #targets: number[] = [];
  readonly #truncated: number[] = [];
  readonly #hashes: number[] = [];
  readonly #places: number[] = [];

  push(
    { ids, trained, truncatedTokens }: TokenizedExample,
    hash: readonly [number, number],
    { line, offset, length }: RecordPlace,
  ): void {
    const start = this.#starts.at(-1)!;
    const end = start + LENGTH_BYTES + ids.length * TOKEN_BYTES;
    if (end > this.#examples.length) this.#resize(Math.max(end, 2 * this.#examples.length));
    const header = new Uint8Array(Uint32Array.of(ids.length).buffer);
    this.#examples.set(header, start);
    this.#examples.set(
      new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength),
      start + LENGTH_BYTES,
    );
    this.#examples.set(trained, end - trained.length);
    this.#starts.push(end);
    this.#targets.push(trained.reduce((sum, flag) => sum + flag, 0));
    this.#truncated.push(truncatedTokens);
    this.#hashes.push(...hash);
    this.#places.push(line, offset, length);
  }

  /** The arrays, after which nothing can be added. */
  arrays(): BlockArrays {
    this.#resize(this.#starts.at(-1)!);
    return {
      examples: this.#examples,
      starts: Uint32Array.from(this.#starts),
      targets: Uint32Array.from(this.#targets),
      truncated: Uint32Array.from(this.#truncated),
      hashes: Uint32Array.from(this.#hashes),
      places: Float64Array.from(this.#places),
    };
  }

  /** Without a second copy, where the system can do so. */
  #resize(length: number): void {
    this.#examples = new Uint8Array(this.#examples.buffer.transfer(length));
  }
}
