/** A set of 64-bit hashes in a few bytes each, for millions of them. */

/** Hashes that have been added. */
export class HashSet {
  /** Both halves of a hash by slot; the first free slot after its own takes what finds it taken. */
  readonly #slots: Uint32Array; // [slots, 2]
  readonly #mask: number;
  /** Whether the hash that free slots look like has been added. */
  #hasZero = false;

  /** @param most The most hashes that are added. */
  constructor(most: number) {
    const slots = 2 ** Math.ceil(Math.log2(2 * most + 2));
    this.#slots = new Uint32Array(2 * slots);
    this.#mask = slots - 1;
  }

  /** Adds a hash, and says whether it was new. */
  add(high: number, low: number): boolean {
    if (high === 0 && low === 0) {
      const isNew = !this.#hasZero;
      this.#hasZero = true;
      return isNew;
    }
    const slot = this.#slotOf(high, low);
    if (this.#isTaken(slot)) return false;
    this.#slots[2 * slot] = high;
    this.#slots[2 * slot + 1] = low;
    return true;
  }

  /** Whether a hash has been added. */
  has(high: number, low: number): boolean {
    return high === 0 && low === 0 ? this.#hasZero : this.#isTaken(this.#slotOf(high, low));
  }

  /** The slot that has a hash, or the free one where it would be. */
  #slotOf(high: number, low: number): number {
    for (let slot = low & this.#mask;; slot = (slot + 1) & this.#mask) {
      const isIt = this.#slots[2 * slot] === high && this.#slots[2 * slot + 1] === low;
      if (isIt || !this.#isTaken(slot)) return slot;
    }
  }

  #isTaken(slot: number): boolean {
    return this.#slots[2 * slot] !== 0 || this.#slots[2 * slot + 1] !== 0;
  }
}
