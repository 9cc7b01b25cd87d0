/** The bytes of text that a token stands for, under the two spellings that vocabularies use. */

/**
 * How a vocabulary spells bytes: `byte_level` (GPT-2, LLaMA 3, Qwen) gives every byte a printable character;
 * `metaspace` (LLaMA 2, Mistral) writes spaces as U+2581 and rare bytes as `<0x0A>`.
 */
export type TokenSpelling = "byte_level" | "metaspace";

const METASPACE = /\u2581/g;
/** A token of the `metaspace` spelling that stands for one byte. */
export const BYTE_TOKEN = /^<0x([0-9A-Fa-f]{2})>$/;
const utf8 = new TextEncoder();

/**
 * GPT-2's table: bytes that are printable in Latin-1 stand for themselves, the others take the characters from
 * U+0100 on in order. Indexed by character code; -1 where a character stands for no byte.
 */
const BYTE_OF_CHARACTER = (() => {
  const table = new Int16Array(512).fill(-1);
  let next = 256;
  for (let byte = 0; byte < 256; byte++) {
    const isPrintable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte !== 0xAD);
    table[isPrintable ? byte : next++] = byte;
  }
  return table;
})();

const CHARACTER_OF_BYTE = (() => {
  const table: string[] = [];
  BYTE_OF_CHARACTER.forEach((byte, code) => {
    if (byte >= 0) table[byte] = String.fromCharCode(code);
  });
  return table;
})();

/** A text as `byte_level` vocabularies spell its bytes. */
export function spellBytes(text: string): string {
  let spelled = "";
  for (const byte of utf8.encode(text)) spelled += CHARACTER_OF_BYTE[byte];
  return spelled;
}

/** The bytes of an ordinary token. Characters outside the byte-level table are taken literally. */
export function tokenBytes(token: string, spelling: TokenSpelling): Uint8Array {
  if (spelling === "metaspace") {
    const byte = BYTE_TOKEN.exec(token);
    return byte === null
      ? utf8.encode(token.replace(METASPACE, " "))
      : Uint8Array.of(parseInt(byte[1]!, 16));
  }
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = BYTE_OF_CHARACTER[token.charCodeAt(i)] ?? -1;
    if (byte < 0) return utf8.encode(token);
    bytes[i] = byte;
  }
  return bytes;
}

/** Concatenates pieces. */
export function concatBytes(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
