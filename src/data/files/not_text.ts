/** What stands in a table in the place of a text and is none. */

/** Bytes of a field that are not valid UTF-8. Fields that nobody reads, such as images, may well be so. */
export class NotText {
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** How many there are. */
  get length(): number {
    return this.#bytes.length;
  }

  /** JSON has no bytes: as text, with U+FFFD for what is none. */
  toJSON(): string {
    return new TextDecoder().decode(this.#bytes);
  }
}
