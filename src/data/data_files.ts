/** Finds how each data file is read, by its first records, before anything that takes time. */
import { SpielError } from "../errors.ts";
import type { DataPath } from "../io/named_file.ts";
import { RecordError } from "../io/record_error.ts";
import { type KnownFile, readRecords, recogniseFile, type Watch } from "./files/mod.ts";
import {
  checkFieldMap,
  type DataFormat,
  type FieldMap,
  fieldsOf,
  type Fit,
  fitsNone,
  fittingFormat,
  type FormatChoice,
  formatsFor,
  mapInWords,
  RecordFields,
} from "./formats/mod.ts";
import type { TrainOn } from "./train_on.ts";

/** How records are read, and what of them is trained on. */
export interface ReadingOptions {
  /** Default "auto": each file by the first record that fits a format. */
  format?: FormatChoice | undefined;
  /** Names of the records' fields by those of the format. */
  map?: FieldMap | undefined;
  /** Default "assistant". */
  trainOn?: TrainOn | undefined;
}

/** A file and how its records are read. */
export interface DataFile extends KnownFile {
  format: DataFormat;
}

/** A file of which it was found how its records are read. */
export interface OpenedDataFile extends DataFile {
  /** Why they are read so, such as `line 1 has the field "text"`. */
  why: string;
}

/** Records in which a record that fits must be found; those before it are then bad one by one. */
const RECORDS_LOOKED_AT = 1000;

/**
 * Looks at the first records of every file.
 *
 * @throws {SpielError} kind "data" for a file that cannot be read, is of no known kind, has no records, or none that
 * fits; "usage" for an unknown format or a map to fields that no format has.
 */
export async function openDataFiles(
  paths: readonly DataPath[],
  options: ReadingOptions,
  watch: Watch = {},
): Promise<OpenedDataFile[]> {
  const { format = "auto", map = {} } = options;
  checkFieldMap(map);
  const formats = formatsFor(format);
  const files: OpenedDataFile[] = [];
  for (const path of paths) {
    const file = await recogniseFile(path, watch);
    files.push({ ...file, ...await formatOf(file, formats, map) });
  }
  return files;
}

/**
 * Refuses a map whose names no file is read by: a mistyped one would else be passed over in silence.
 *
 * @throws {SpielError} kind "data".
 */
export function refuseIdleMap(files: readonly DataFile[], map: FieldMap): void {
  const used = new Set(files.flatMap(({ format }) => fieldsOf(format)));
  const idle = Object.entries(map).find(([field]) => !used.has(field));
  if (idle === undefined) return;
  const read = files.map(({ path, format }) => `"${path}" is read as ${format.name}`).join(", ");
  throw new SpielError("data", `${mapInWords([idle])} is of no use: ${read}`);
}

async function formatOf(
  file: KnownFile,
  formats: readonly DataFormat[],
  map: FieldMap,
): Promise<Fit> {
  let unfit: RecordFields | undefined;
  let broken: RecordError | undefined;
  for await (const record of firstRecords(file, map)) {
    if (record instanceof RecordError) {
      broken ??= record;
      continue;
    }
    const fit = fittingFormat(formats, record);
    if (fit !== undefined) return fit;
    unfit ??= record;
  }
  if (unfit !== undefined) throw fitsNone(formats, unfit);
  throw noRecords(file, broken);
}

/** The error for a file without records, whose first line may be none. */
export function noRecords(
  { path, kind: { expected } }: KnownFile,
  broken: RecordError | undefined,
): SpielError {
  const found = broken?.message ?? `"${path}" has no records`;
  return new SpielError("data", `${found}; expected ${expected}`);
}

async function* firstRecords(
  file: KnownFile,
  map: FieldMap,
): AsyncGenerator<RecordFields | RecordError> {
  let left = RECORDS_LOOKED_AT;
  for await (const { where, parse } of readRecords(file)) {
    if (left-- === 0) return;
    try {
      yield new RecordFields(where, parse(), map);
    } catch (error) {
      if (!(error instanceof RecordError)) throw error;
      yield error;
    }
  }
}
