/** Looks at every record of a data file, and writes a corrected copy of it where one is wanted. */
import { RecordError } from "../io/record_error.ts";
import { SpielError } from "../errors.ts";
import { denoFiles, storageError } from "../io/files.ts";
import type { DataPath } from "../io/named_file.ts";
import { publishFile } from "../io/publish.ts";
import { BadExamples, type BadGroup } from "./bad_examples.ts";
import { correct } from "./corrections.ts";
import { type DataFile, openDataFiles, type ReadingOptions } from "./data_files.ts";
import { ExampleEncoder } from "./example.ts";
import { readRecords, type RecordAt } from "./files/mod.ts";
import { RecordFields } from "./formats/mod.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { refuseHalves, textsOf } from "./whole_characters.ts";
import { inOneLine, parseWritten } from "./written_json.ts";

/** How a file is looked at. */
export interface ValidateOptions extends ReadingOptions {
  /** The tokenizer of a model, whose template and limits the records are held against; absent for their fields alone. */
  readonly tokenizer?: Tokenizer | undefined;
  /** Longest example in tokens, with a tokenizer. Default 1024. */
  readonly maxLength?: number | undefined;
  /** Where a corrected copy goes, as JSON Lines; absent for none. */
  readonly write?: string | undefined;
  /** Told of each difference of the copy. */
  readonly onChange?: ((change: DataChange) => void) | undefined;
  /** Told from time to time how many records were looked at. */
  readonly onProgress?: ((records: number) => void) | undefined;
  /** Stops it; nothing is then written. */
  readonly signal?: AbortSignal | undefined;
}

/** A difference of a corrected copy. */
export interface DataChange {
  /** File and line or row of the record. */
  readonly where: string;
  /** What is other in the copy. */
  readonly change: string;
}

/** What was found. */
export interface Validation {
  /** The file, as messages call it. */
  readonly path: string;
  /** What kind of file it is. */
  readonly kind: string;
  /** The format of its records. */
  readonly format: string;
  /** Why it is read so. */
  readonly why: string;
  /** Records, good and bad. */
  readonly records: number;
  /** Those that cannot be used as they are. */
  readonly badRecords: number;
  /** What is wrong with them; the first reasons where there are many. */
  readonly bad: readonly BadGroup[];
  /** The error that a run would end with; `null` where all is well. */
  readonly refusal: SpielError | null;
  /** Bad records that the copy has, corrected. */
  readonly corrected: number;
}

const RECORDS_PER_TURN = 256;
/** Characters of lines that are gathered before they are written. */
const WRITTEN_AT_ONCE = 1 << 20;

/**
 * Looks at a whole file. Memory does not depend on its size.
 *
 * @throws {SpielError} kind "data" for a file that cannot be read as a whole; "storage" where the copy cannot be
 * written; "interrupted" when the signal fires.
 */
export async function validateData(
  path: DataPath,
  options: ValidateOptions,
): Promise<Validation> {
  const [file] = await openDataFiles([path], options, options);
  const validator = new Validator(file!, options);
  if (options.write === undefined) await validator.readAll();
  else await writeCopy(options.write, validator.lines());
  const { bad, records, corrected } = validator;
  return {
    ...{ path: file!.path, kind: file!.kind.name, format: file!.format.name, why: file!.why },
    ...{ records, badRecords: bad.count, bad: bad.groups, corrected },
    refusal: bad.count === 0 ? null : bad.refusal(records, "--write FILE saves a corrected copy"),
  };
}

async function writeCopy(path: string, lines: AsyncIterable<string>): Promise<void> {
  if (await denoFiles.status(path) !== null) {
    throw new SpielError("usage", `"${path}" exists; expected a new file for the corrected copy`);
  }
  try {
    await publishFile(denoFiles, path, encoded(lines));
  } catch (error) {
    throw storageError(`Cannot write the corrected copy "${path}"`, error);
  }
}

/** Some lines at a time. */
async function* encoded(lines: AsyncIterable<string>): AsyncGenerator<Uint8Array> {
  const utf8 = new TextEncoder();
  let text = "";
  for await (const line of lines) {
    text += line;
    if (text.length < WRITTEN_AT_ONCE) continue;
    yield utf8.encode(text);
    text = "";
  }
  yield utf8.encode(text);
}

class Validator {
  readonly bad = new BadExamples();
  records = 0;
  corrected = 0;
  readonly #file: DataFile;
  readonly #options: ValidateOptions;
  readonly #encoder: ExampleEncoder | null;

  constructor(file: DataFile, options: ValidateOptions) {
    this.#file = file;
    this.#options = options;
    this.#encoder = options.tokenizer === undefined
      ? null
      : new ExampleEncoder(options.tokenizer, options.trainOn);
  }

  async readAll(): Promise<void> {
    const lines = this.lines();
    while (!(await lines.next()).done);
  }

  /** The lines of the copy. */
  async *lines(): AsyncGenerator<string> {
    for await (const record of readRecords(this.#file)) {
      const line = this.#usable(record);
      if (line !== null) yield `${line}\n`;
      if (++this.records % RECORDS_PER_TURN !== 0) continue;
      this.#options.onProgress?.(this.records);
      await new Promise((resolve) => setTimeout(resolve, 0));
      if (this.#options.signal?.aborted) {
        throw new SpielError("interrupted", "Stopped while looking at the data");
      }
    }
  }

  /** The line of a record: as it stands, or corrected where that makes it usable; null for one that is left out. */
  #usable(read: RecordAt): string | null {
    let record: Record<string, unknown> | undefined;
    try {
      record = read.parse();
      this.#check(read.where, record);
      return read.json === undefined ? JSON.stringify(record) : inOneLine(read.json());
    } catch (error) {
      if (!(error instanceof RecordError)) throw error;
      this.bad.add(error);
      return this.#mended(read, record, error.reason);
    }
  }

  #mended(
    read: RecordAt,
    record: Record<string, unknown> | undefined,
    reason: string,
  ): string | null {
    if (this.#options.write === undefined) return null;
    const { where } = read;
    const mended = record && withItsNumbers(record, read);
    const changes = mended === undefined ? [] : correct(mended, this.#options.map ?? {});
    try {
      if (mended === undefined || changes.length === 0) throw new RecordError(where, reason);
      this.#check(where, mended);
    } catch (error) {
      if (!(error instanceof RecordError)) throw error;
      this.#tell(where, `left out: ${error.reason}`);
      return null;
    }
    for (const change of changes) this.#tell(where, change);
    this.corrected++;
    return JSON.stringify(mended);
  }

  #tell(where: string, change: string): void {
    this.#options.onChange?.({ where, change });
  }

  /** @throws {RecordError} for a record that cannot be used. */
  #check(where: string, record: Record<string, unknown>): void {
    const { map = {}, maxLength = 1024 } = this.#options;
    const sample = this.#file.format.read(new RecordFields(where, record, map));
    for (const text of textsOf(sample)) refuseHalves(text, where);
    this.#encoder?.encode(sample, where, maxLength);
  }
}

/** A record whose numbers are written again as they stand in its file. */
function withItsNumbers(
  record: Record<string, unknown>,
  { json }: RecordAt,
): Record<string, unknown> {
  return json === undefined ? record : parseWritten(json()) as Record<string, unknown>;
}
