/** Recognises files that hold no records, or not as they are, and says how to turn them into JSON Lines. */
import { shownName, urlOf } from "../../io/web_address.ts";
import { SpielError } from "../../errors.ts";
import type { FileHead } from "./record_file.ts";
import { firstLines, isJsonObject } from "./table_head.ts";

const SPREADSHEET = {
  kind: "a spreadsheet",
  remedy: 'the program that wrote it saves it as "CSV UTF-8"',
};

/** Names of what only the ZIP archives have that are spreadsheets. */
const IN_SPREADSHEETS = /xl\/work(?:book|sheets)|opendocument\.spreadsheet/;

/** How a kind of file that is not read begins, and how it becomes JSON Lines. */
const SIGNATURES: readonly { bytes: readonly number[]; kind: string; remedy: string }[] = [
  { bytes: [0x28, 0xB5, 0x2F, 0xFD], kind: "compressed with zstd", remedy: "unzstd unpacks it" },
  { bytes: [0x42, 0x5A, 0x68], kind: "compressed with bzip2", remedy: "bunzip2 unpacks it" },
  { bytes: [0xFD, 0x37, 0x7A, 0x58, 0x5A], kind: "compressed with xz", remedy: "unxz unpacks it" },
  { bytes: [0x50, 0x4B, 0x03, 0x04], kind: "a ZIP archive", remedy: "unzip unpacks it" },
  {
    bytes: [...new TextEncoder().encode("ARROW1")],
    kind: "an Arrow file",
    remedy: "the program that wrote it can convert it",
  },
  { bytes: [0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1], ...SPREADSHEET },
  { bytes: [0xFF, 0xFE], kind: "UTF-16 text", remedy: "iconv -f UTF-16 -t UTF-8 converts it" },
  { bytes: [0xFE, 0xFF], kind: "UTF-16 text", remedy: "iconv -f UTF-16 -t UTF-8 converts it" },
  { bytes: [0x7B, 0x00], kind: "UTF-16 text", remedy: "iconv -f UTF-16LE -t UTF-8 converts it" },
  { bytes: [0x00, 0x7B], kind: "UTF-16 text", remedy: "iconv -f UTF-16BE -t UTF-8 converts it" },
];

const NEWLINE = 0x0A;

/**
 * Refuses an address of the web in the place of a file.
 *
 * @throws {SpielError} kind "data".
 */
export function refuseUrl(path: string): void {
  if (urlOf(path) !== null) {
    throw new SpielError(
      "data",
      `"${shownName(path)}" is a URL; expected a file: download it first`,
    );
  }
}

/** The error for a file of a kind that is not read: what it is, and what to do about it; else null. */
export function otherFile(head: FileHead): SpielError | null {
  const signature = SIGNATURES.find(({ bytes }) => bytes.every((b, i) => head.bytes[i] === b));
  if (signature === undefined) return otherLines(head);
  const { kind, remedy } = isSpreadsheet(head) ? SPREADSHEET : signature;
  return otherThan(head, kind, remedy);
}

function isSpreadsheet({ bytes }: FileHead): boolean {
  return String.fromCharCode(...bytes.subarray(0, 2)) === "PK" &&
    IN_SPREADSHEETS.test(new TextDecoder("latin1").decode(bytes));
}

/** The error for lines that end as they did on old Macintoshes; else null. Within JSON they are white space. */
function otherLines(head: FileHead): SpielError | null {
  // A zero is in no text, and in every small Parquet file.
  if (head.bytes.includes(NEWLINE) || head.bytes.includes(0)) return null;
  const [first = "", second] = new TextDecoder().decode(head.bytes).trim().split("\r");
  if (second === undefined || /^[[{]/.test(first) && !isJsonObject(first)) return null;
  const remedy = "tr '\\r' '\\n' < in > out converts it";
  return otherThan(head, "text whose lines end with carriage returns alone", remedy);
}

/** The error for what cannot be lines of JSON, nor anything else that is known; else null. */
export function otherText(head: FileHead): SpielError | null {
  // What is cut off at the end, or is no UTF-8, is told where records are read.
  const [first = "", second] = firstLines(head);
  if (first.includes("\0")) return otherThan(head, "not text");
  const isPrinted = /^\s*\{(?:.*[{[,:])?\s*$/.test(first) && second !== undefined;
  if (!isPrinted || isJsonObject(second)) return null;
  return otherThan(head, "JSON over many lines", "jq -c . in.json > out.jsonl converts it");
}

function otherThan({ path }: FileHead, kind: string, remedy?: string): SpielError {
  const help = remedy === undefined ? "" : `; ${remedy}`;
  return new SpielError(
    "data",
    `"${path}" is ${kind}; expected JSON Lines, JSON, CSV, TSV or Parquet${help}`,
  );
}
