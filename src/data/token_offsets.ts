/** Aligns tokens with the text that they were made from, by comparing bytes. */
import { SpielError } from "../errors.ts";
import { concatBytes } from "./token_bytes.ts";
import { COMPOSING_RUN } from "./token_source.ts";

/** UTF-16 positions, one per token. */
export interface TokenOffsets {
  /** Start of the character that holds the token's first byte. */
  starts: Uint32Array;
  /** End of the character that holds the token's last byte. */
  ends: Uint32Array;
}

const SPACE = 0x20;

/**
 * Finds where each token lies in the text.
 *
 * @param text What was tokenised.
 * @param pieces Bytes of each token, in order.
 * @throws {SpielError} kind "data" when the tokens do not spell the text.
 */
export function alignTokens(text: string, pieces: readonly Uint8Array[]): TokenOffsets {
  // Some tokenizers compose characters first.
  const offsets = align(textBytes(text), pieces) ?? align(composedBytes(text), pieces);
  if (offsets !== null) return offsets;
  const shown = text.length > 60 ? `${text.slice(0, 60)}...` : text;
  throw new SpielError(
    "data",
    `The tokenizer does not reproduce the text ${JSON.stringify(shown)}: ` +
      `it drops or replaces characters, so trained tokens cannot be located`,
  );
}

/** The bytes of a text and, per byte, the character that it comes from. */
interface TextBytes {
  bytes: Uint8Array;
  /** UTF-16 start of the character of each byte; one more entry for the end of the text. */
  starts: Uint32Array;
  ends: Uint32Array;
}

function align({ bytes, starts, ends }: TextBytes, pieces: readonly Uint8Array[]) {
  const offsets: TokenOffsets = {
    starts: new Uint32Array(pieces.length),
    ends: new Uint32Array(pieces.length),
  };
  let at = 0;
  for (let i = 0; i < pieces.length; i++) {
    let piece = pieces[i]!;
    // Around special tokens a tokenizer may drop white space of the text or put a space of its own.
    let from = at;
    while (!startsWith(bytes, from, piece) && isSpace(bytes[from])) from++;
    if (!startsWith(bytes, from, piece) && piece[0] === SPACE) {
      from = at;
      piece = piece.subarray(1);
    }
    if (!startsWith(bytes, from, piece)) return null;
    at = from + piece.length;
    offsets.starts[i] = starts[from]!;
    offsets.ends[i] = piece.length === 0 ? starts[from]! : ends[at - 1]!;
  }
  while (isSpace(bytes[at])) at++;
  return at === bytes.length ? offsets : null;
}

function startsWith(bytes: Uint8Array, at: number, piece: Uint8Array): boolean {
  for (let i = 0; i < piece.length; i++) if (bytes[at + i] !== piece[i]) return false;
  return true;
}

function isSpace(byte: number | undefined): boolean {
  return byte === SPACE || (byte !== undefined && byte >= 0x09 && byte <= 0x0D);
}

function textBytes(text: string): TextBytes {
  const bytes = new TextEncoder().encode(text);
  const starts = new Uint32Array(bytes.length + 1);
  const ends = new Uint32Array(bytes.length);
  let length = 0;
  for (let position = 0; position < text.length;) {
    const code = text.codePointAt(position)!;
    const next = position + (code > 0xFFFF ? 2 : 1);
    const count = code < 0x80 ? 1 : code < 0x800 ? 2 : code <= 0xFFFF ? 3 : 4;
    for (let i = 0; i < count; i++, length++) {
      starts[length] = position;
      ends[length] = next;
    }
    position = next;
  }
  starts[length] = text.length;
  return { bytes, starts, ends };
}

/** As `textBytes` of the composed text, with positions in the text as it was. */
function composedBytes(text: string): TextBytes {
  const pieces: Uint8Array[] = [];
  const starts: number[] = [];
  const ends: number[] = [];
  for (const { 0: run, index } of text.matchAll(COMPOSING_RUN)) {
    const bytes = new TextEncoder().encode(run.normalize("NFC"));
    pieces.push(bytes);
    for (let i = 0; i < bytes.length; i++) {
      starts.push(index);
      ends.push(index + run.length);
    }
  }
  starts.push(text.length);
  return {
    bytes: concatBytes(pieces),
    starts: Uint32Array.from(starts),
    ends: Uint32Array.from(ends),
  };
}
