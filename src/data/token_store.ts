/** Many tokenised examples in a few growing arrays. */
import type { TokenizedExample } from "./example.ts";

/** Holds examples by index. */
export class TokenStore {
  #ids = new Uint32Array(1024);
  #trained = new Uint8Array(1024);
  /** Start of each example; one more entry for the end of the last. */
  readonly #starts: number[] = [0];
  readonly #truncated: number[] = [];

  get length(): number {
    return this.#truncated.length;
  }

  /** Tokens of all examples. */
  get tokens(): number {
    return this.#starts.at(-1)!;
  }

  push(example: TokenizedExample): void {
    const start = this.tokens;
    const end = start + example.ids.length;
    if (end > this.#ids.length) {
      const capacity = Math.max(end, 2 * this.#ids.length);
      const [ids, trained] = [new Uint32Array(capacity), new Uint8Array(capacity)];
      ids.set(this.#ids);
      trained.set(this.#trained);
      [this.#ids, this.#trained] = [ids, trained];
    }
    this.#ids.set(example.ids, start);
    this.#trained.set(example.trained, start);
    this.#starts.push(end);
    this.#truncated.push(example.truncatedTokens);
  }

  /** Tokens of one example. */
  lengthOf(index: number): number {
    return this.#starts[index + 1]! - this.#starts[index]!;
  }

  /** One example, as views that must not be written to. */
  get(index: number): TokenizedExample {
    const start = this.#starts[index]!;
    const end = this.#starts[index + 1]!;
    return {
      ids: this.#ids.subarray(start, end),
      trained: this.#trained.subarray(start, end),
      truncatedTokens: this.#truncated[index]!,
    };
  }
}
