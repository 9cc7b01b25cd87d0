/** What a kind of data file offers: its records in order, in blocks that are read apart, and any one again. */

/** How a file begins, by which its kind is known. */
export interface FileHead {
  /** What messages call the file, without `.gz`. */
  path: string;
  /** The first bytes: enough to see the first lines of nearly any file. */
  bytes: Uint8Array;
  /** Whether that is all of it. */
  isWhole: boolean;
}

/** A kind of data file. One module per kind, listed in `mod.ts`. */
export interface FileKind {
  /** What the kind is called. */
  name: string;
  /** What a file without records is not, such as "JSON Lines, one object per line". */
  expected: string;
  /** Tells a person where a record stands: file and line, such as `train.jsonl:12`, or `train.parquet:row 12`. */
  where(name: string, place: Pick<RecordPlace, "line">): string;
  /** Whether a file that begins so is of this kind. */
  recognises(head: FileHead): boolean;
  /**
   * Opens a file of this kind.
   *
   * @param path Where its bytes are.
   * @param name What messages call it: the path that was given, where that led to other bytes.
   * @throws {SpielError} kind "data" when it cannot be read or is damaged as a whole.
   */
  open(path: string, name: string): Promise<RecordFile>;
}

/** Whole records that stand together. A block is read alike whatever was read before. */
export interface Block {
  /** Line or row of the first record, from 1. */
  line: number;
  /** Where the block begins and ends, in the kind's own unit: bytes, or rows. */
  start: number;
  end: number;
}

/** Where a record stands in its file; numbers alone, so that a million are kept in an array. */
export interface RecordPlace {
  /** Line or row, from 1. */
  line: number;
  /** Where it begins, in the kind's own unit. */
  offset: number;
  /** How much there is of it, in that unit. */
  length: number;
}

/** A record that was found, not yet understood. */
export interface RecordAt {
  /** As the kind's `where` tells it. */
  where: string;
  place: RecordPlace;
  /** @throws {RecordError} when it is no record. */
  parse(): Record<string, unknown>;
  /**
   * The JSON that it is in the file; absent where a file has none.
   *
   * @throws {RecordError} when it is no text.
   */
  json?(): string;
}

/** An open data file. */
export interface RecordFile extends Disposable {
  /** Cuts the file into blocks, in order; the same ones every time. */
  blocks(): AsyncIterable<Block>;
  /** The records of a block, in order. */
  records(block: Block): AsyncIterable<RecordAt>;
  /**
   * One record again.
   *
   * @throws {SpielError} kind "data" when the file has changed so that it is no record any more.
   */
  read(place: RecordPlace): Promise<Record<string, unknown>>;
}
