/** Byte pair encoding: the parts of a word are joined by the merges of a vocabulary. */

/** A vocabulary and its merges, checked. */
export class BytePairs {
  /** The id that stands for a part that is no token, of which no merge is known. */
  static readonly #UNKNOWN = -1;
  /** The id of a part that has been joined to the one before it. */
  static readonly #JOINED = -2;

  /** Ids by token. */
  readonly ids: ReadonlyMap<string, number>;
  /** Tokens by id; there may be ids of none. */
  readonly tokens: readonly string[];
  readonly #merges: PairTable;
  /** By the number of a merge, the token that it makes. */
  readonly #made: Int32Array;

  /** @param mergeCount How many merges are to come by `addMerge`. */
  constructor(ids: ReadonlyMap<string, number>, tokens: readonly string[], mergeCount: number) {
    this.ids = ids;
    this.tokens = tokens;
    this.#merges = new PairTable(mergeCount);
    this.#made = new Int32Array(mergeCount);
  }

  /** Adds merge number `rank`, of two tokens into a third. One of the same two takes the place of an earlier one. */
  addMerge(rank: number, left: number, right: number, made: number): void {
    this.#merges.set(left, right, rank);
    this.#made[rank] = made;
  }

  /**
   * Joins neighbours as long as there is a merge of them: of all the one of the lowest rank, and of these the first.
   *
   * @param parts Characters, mostly; those that are no tokens stay as they are.
   */
  join(parts: readonly string[]): string[] {
    const count = parts.length;
    const ids = parts.map((part) => this.ids.get(part) ?? BytePairs.#UNKNOWN);
    const before = parts.map((_, at) => at - 1);
    const after = parts.map((_, at) => at + 1);
    const queue = new LeastFirst();
    const offer = (left: number) => {
      const right = after[left]!;
      if (right === count) return;
      const rank = this.#merges.get(ids[left]!, ids[right]!);
      if (rank >= 0) queue.push(rank * count + left);
    };
    for (let left = 0; left < count; left++) offer(left);
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
      const left = next % count;
      const rank = (next - left) / count;
      const right = after[left]!;
      // Either of the two may have been joined to another since.
      if (right === count || this.#merges.get(ids[left]!, ids[right]!) !== rank) continue;
      ids[left] = this.#made[rank]!;
      ids[right] = BytePairs.#JOINED;
      const third = after[left] = after[right]!;
      if (third < count) before[third] = left;
      if (left > 0) offer(before[left]!);
      offer(left);
    }
    const joined: string[] = [];
    for (let at = 0; at < count; at = after[at]!) {
      joined.push(ids[at] === BytePairs.#UNKNOWN ? parts[at]! : this.tokens[ids[at]!]!);
    }
    return joined;
  }
}

/** Numbers by pairs of ids: open addressing in a table that is at most half full. */
class PairTable {
  readonly #mask: number;
  /** Of each place the pair, and its number plus one; 0 where there is none. */
  readonly #places: Int32Array; // [places, 3]

  constructor(most: number) {
    const places = 2 ** Math.ceil(Math.log2(2 * Math.max(1, most)));
    this.#mask = places - 1;
    this.#places = new Int32Array(3 * places);
  }

  set(left: number, right: number, value: number): void {
    const at = this.#find(left, right);
    this.#places[at] = left;
    this.#places[at + 1] = right;
    this.#places[at + 2] = value + 1;
  }

  /** The number of a pair; -1 without one. */
  get(left: number, right: number): number {
    return this.#places[this.#find(left, right) + 2]! - 1;
  }

  /** The place of a pair, or the free one where it would be. */
  #find(left: number, right: number): number {
    const places = this.#places;
    let hash = Math.imul(left, 0x9E37_79B1) ^ Math.imul(right, 0x85EB_CA77);
    hash ^= hash >>> 15;
    for (let place = hash & this.#mask;; place = (place + 1) & this.#mask) {
      const at = 3 * place;
      if (places[at + 2] === 0 || (places[at] === left && places[at + 1] === right)) return at;
    }
  }
}

/** Numbers of which the least is taken first: a binary heap. */
class LeastFirst {
  readonly #heap: number[] = [];

  push(value: number): void {
    const heap = this.#heap;
    let at = heap.push(value) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent]! <= value) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = value;
  }

  pop(): number | undefined {
    const heap = this.#heap;
    const least = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return least;
    let at = 0;
    for (let child = 1; child < heap.length; child = 2 * at + 1) {
      if (child + 1 < heap.length && heap[child + 1]! < heap[child]!) child++;
      if (heap[child]! >= last) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return least;
  }
}
