/** Where positions stand in ascending lists of them. */

/** The first slot of ascending indices that is not below `index`. */
export function firstAtLeast(indices: Uint32Array, index: number): number {
  let [low, high] = [0, indices.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (indices[middle]! < index) low = middle + 1;
    else high = middle;
  }
  return low;
}
