/** Random choices that depend on a seed alone. */

import { drawAt } from "../../mod.ts";

/** A sequence of random choices. */
export class Random {
  #count = 0;

  constructor(private readonly seed: number) {}

  /** A whole number from 0 to `end - 1`. */
  below(end: number): number {
    return Math.floor(drawAt(this.seed, this.#count++) * end);
  }

  /** One of the items. */
  pick<Item>(items: ArrayLike<Item>): Item {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new RangeError("Nothing to pick from");
    return item;
  }
}
