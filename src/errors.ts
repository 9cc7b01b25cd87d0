/** The one error class that callers are meant to see, and the exit code of each of its kinds. */

/** What went wrong, in the terms of who can mend it. */
export type SpielErrorKind =
  | "numeric"
  | "usage"
  | "data"
  | "device"
  | "internal"
  | "storage"
  | "interrupted"
  | "environment";

/** Process exit code per kind. 0 is success; the codes from 64 up follow BSD `sysexits.h`. */
export const EXIT_CODES: Readonly<Record<SpielErrorKind, number>> = {
  numeric: 4,
  usage: 64,
  data: 65,
  device: 69,
  internal: 70,
  storage: 74,
  interrupted: 75,
  environment: 78,
};

/**
 * Begins each line of a list in a message.
 *
 * @internal
 */
export const LIST_ITEM = "\n  - ";

/** Control characters but for the line breaks of a list. */
const CONTROL_CHARACTERS = /(?!\n {2}- )\p{Cc}/gu;

/**
 * A failure whose message is one sentence for a person: it names the file or field, the value found
 * and what was expected. `cause` keeps the underlying error for debugging.
 */
export class SpielError extends Error {
  /** The name by which a second copy of this module knows it. */
  override readonly name = "SpielError";
  /** Who can mend it. */
  readonly kind: SpielErrorKind;

  /** Makes an error of a kind with its sentence. */
  constructor(kind: SpielErrorKind, message: string, options?: { cause?: unknown }) {
    // Messages quote names out of files, which a terminal must not take for commands.
    super(message.replaceAll(CONTROL_CHARACTERS, escaped), options);
    this.kind = kind;
  }

  /** The exit code that a command line ends with when this error reaches it. */
  get exitCode(): number {
    return EXIT_CODES[this.kind];
  }
}

/** True for a `SpielError`, also one thrown by a second copy of this module. */
export function isSpielError(error: unknown): error is SpielError {
  return error instanceof SpielError ||
    (error instanceof Error && error.name === "SpielError" &&
      "kind" in error && typeof error.kind === "string" && error.kind in EXIT_CODES);
}

function escaped(character: string): string {
  return `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
}
