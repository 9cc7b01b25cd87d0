/** Files that messages call otherwise than by their path: what stands in a cache has the name that it was asked for by. */

/** Where a file is, and what messages call it. */
export interface NamedFile {
  /** Where it is. */
  readonly path: string;
  /** What messages call it. */
  readonly name: string;
}

/** A data file, which messages call by its path unless it has a name. */
export type DataPath = string | NamedFile;

/** The file, with its path for a name where it has none. */
export function namedFile(file: DataPath): NamedFile {
  return typeof file === "string" ? { path: file, name: file } : file;
}
