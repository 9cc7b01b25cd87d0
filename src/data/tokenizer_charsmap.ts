/** SentencePiece's compiled rules that replace characters: a double-array trie and the replacements. */
import { SpielError } from "../errors.ts";

const NONE = 0xFFFFFFFF;

/** Looks up what a text's beginning is to be replaced by. */
export class CharacterMap {
  readonly #units: Uint32Array;
  readonly #replacements: Uint8Array;
  /** Replacements met so far, by where they begin. */
  readonly #texts = new Map<number, string>();

  /**
   * Reads the compiled form: the bytes of the trie (u32), the trie (u32 each), and replacements that end with 0.
   *
   * @param where Names the source in errors.
   * @throws {SpielError} kind "data" when the trie does not lie in the bytes.
   */
  constructor(bytes: Uint8Array, where: string) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const length = bytes.length < 4 ? NONE : view.getUint32(0, true);
    if (length % 4 !== 0 || length === 0 || length > bytes.length - 4) {
      throw new SpielError(
        "data",
        `${where}: precompiled_charsmap has ${bytes.length} bytes, which do not hold its trie`,
      );
    }
    this.#units = Uint32Array.from(
      { length: length / 4 },
      (_, i) => view.getUint32(4 + 4 * i, true),
    );
    this.#replacements = bytes.subarray(4 + length);
  }

  /** The longest rule for the bytes at `at`: how many it takes, and what stands for them; undefined when there is none. */
  find(bytes: Uint8Array, at: number): { length: number; by: string } | undefined {
    const units = this.#units;
    let length = 0;
    let value = NONE;
    let node = offsetOf(units[0]!);
    for (let i = at; i < bytes.length; i++) {
      node = (node ^ bytes[i]!) >>> 0;
      const unit = units[node];
      if (unit === undefined || (unit & 0x800000FF) !== bytes[i]) break;
      node = (node ^ offsetOf(unit)) >>> 0;
      if ((unit & 0x100) === 0) continue;
      length = i + 1 - at;
      value = (units[node] ?? NONE) & 0x7FFFFFFF;
    }
    return length === 0 ? undefined : { length, by: this.#replacement(value) };
  }

  #replacement(from: number): string {
    let text = this.#texts.get(from);
    if (text === undefined) {
      const end = this.#replacements.indexOf(0, from);
      const bytes = this.#replacements.subarray(from, end < 0 ? undefined : end);
      text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
      this.#texts.set(from, text);
    }
    return text;
  }
}

function offsetOf(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6);
}
