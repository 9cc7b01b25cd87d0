/** Recognises files that are no JSON Lines, and says how to turn them into such. */
import { SpielError } from "../../errors.ts";
import { isObject } from "../../io/random_access.ts";
import type { FileHead } from "./record_file.ts";

/** Characters of a table's head that are shown. */
const SHOWN = 80;

/** How a kind of file that is not text begins, and how it becomes JSON Lines. */
const SIGNATURES: readonly { bytes: readonly number[]; kind: string; remedy: string }[] = [
  { bytes: [0x1F, 0x8B], kind: "compressed with gzip", remedy: "gunzip unpacks it" },
  { bytes: [0x28, 0xB5, 0x2F, 0xFD], kind: "compressed with zstd", remedy: "unzstd unpacks it" },
  { bytes: [0x42, 0x5A, 0x68], kind: "compressed with bzip2", remedy: "bunzip2 unpacks it" },
  { bytes: [0xFD, 0x37, 0x7A, 0x58, 0x5A], kind: "compressed with xz", remedy: "unxz unpacks it" },
  { bytes: [0x50, 0x4B, 0x03, 0x04], kind: "a ZIP archive", remedy: "unzip unpacks it" },
  {
    bytes: [...new TextEncoder().encode("PAR1")],
    kind: "a Parquet file",
    remedy: `duckdb -c "COPY (FROM 'in.parquet') TO 'out.jsonl'" converts it`,
  },
  {
    bytes: [...new TextEncoder().encode("ARROW1")],
    kind: "an Arrow file",
    remedy: "the program that wrote it can convert it",
  },
  { bytes: [0xFF, 0xFE], kind: "UTF-16 text", remedy: "iconv -f UTF-16 -t UTF-8 converts it" },
  { bytes: [0xFE, 0xFF], kind: "UTF-16 text", remedy: "iconv -f UTF-16 -t UTF-8 converts it" },
  { bytes: [0x7B, 0x00], kind: "UTF-16 text", remedy: "iconv -f UTF-16LE -t UTF-8 converts it" },
  { bytes: [0x00, 0x7B], kind: "UTF-16 text", remedy: "iconv -f UTF-16BE -t UTF-8 converts it" },
];

/** A name in the head of a table, quoted or not. */
const COLUMN = String.raw`(?:"[^"]*"|[\w .-]+)`;
const TABLE_HEAD = new RegExp(`^${COLUMN}(?:([,;\\t])${COLUMN})(?:\\1${COLUMN})*$`);

/**
 * Refuses an address of the web in the place of a file.
 *
 * @throws {SpielError} kind "data".
 */
export function refuseUrl(path: string): void {
  if (/^https?:\/\//.test(path)) {
    throw new SpielError("data", `"${path}" is a URL; expected a file: download it first`);
  }
}

/** The error for a file that is seen to be something else than JSON Lines: what it is, and how to convert it; else null. */
export function otherFile({ path, bytes, isWhole }: FileHead): SpielError | null {
  const signature = SIGNATURES.find(({ bytes: begin }) => begin.every((b, i) => bytes[i] === b));
  if (signature !== undefined) return otherThan(path, signature.kind, signature.remedy);
  // What is cut off at the end, or is no UTF-8, is told where records are read.
  const lines = new TextDecoder().decode(bytes).split(/\r?\n/).filter((line) => line.trim() !== "");
  const [first = "", second] = lines;
  if (first.includes("\0")) return otherThan(path, "not text");
  const goesOn = second !== undefined || !isWhole;
  if (first.trimStart().startsWith("[") && isArrayOfExamples(first, goesOn)) {
    return otherThan(path, "a JSON array", "jq -c '.[]' in.json > out.jsonl converts it");
  }
  if (second === undefined || isObject(parsed(second))) return null;
  if (/^\s*\{(?:.*[{[,:])?\s*$/.test(first)) {
    return otherThan(path, "JSON over many lines", "jq -c . in.json > out.jsonl converts it");
  }
  const separator = TABLE_HEAD.exec(first.trim())?.[1];
  if (separator === undefined || !second.includes(separator)) return null;
  const format = separator === "\t" ? "tsv" : separator === ";" ? "csv --ifs ';'" : "csv";
  return otherThan(
    path,
    `a table whose columns are ${first.trim().slice(0, SHOWN)}`,
    `mlr --i${format} --ojsonl cat in > out.jsonl converts it`,
  );
}

/** Whether an array that begins here holds the examples: it has an object in it, or goes on. */
function isArrayOfExamples(line: string, goesOn: boolean): boolean {
  const value = parsed(line);
  return Array.isArray(value) ? value.some(isObject) : goesOn;
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function otherThan(path: string, kind: string, remedy?: string): SpielError {
  const help = remedy === undefined ? "" : `; ${remedy}`;
  return new SpielError(
    "data",
    `"${path}" is ${kind}; expected JSON Lines, one object per line${help}`,
  );
}
