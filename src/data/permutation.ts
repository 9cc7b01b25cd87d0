/** A shuffle that is computed, not stored: position → item, from a key alone. */

/** Enough rounds that the orders of small sets look independent of each other. */
const ROUNDS = 8;
/** Below this, halves of the domain are too narrow to mix well. */
const MIN_HALF_BITS = 4;

/**
 * The item at a position of a keyed shuffle of 0 … length - 1: a Feistel network over the next power of four,
 * walked until it lands inside.
 *
 * @param index The position, in 0 … length - 1.
 * @param length At most 2^31.
 * @param key Any 32-bit numbers; see `mixKey`.
 */
export function permuteIndex(index: number, length: number, key: number): number {
  const halfBits = Math.max(MIN_HALF_BITS, Math.ceil(Math.log2(Math.max(2, length)) / 2));
  const half = 2 ** halfBits;
  let value = index;
  do {
    let left = Math.floor(value / half);
    let right = value % half;
    for (let round = 0; round < ROUNDS; round++) {
      const mixed = (left ^ mix(mix(key + Math.imul(round, 0x9E3779B9)) ^ right)) & (half - 1);
      left = right;
      right = mixed;
    }
    value = left * half + right;
  } while (value >= length);
  return value;
}

/** One 32-bit key from several numbers, each of which changes it thoroughly. */
export function mixKey(...numbers: readonly number[]): number {
  let key = 0;
  for (const number of numbers) {
    key = mix(key ^ mix(number >>> 0));
    key = mix(key ^ mix(Math.floor(number / 2 ** 32) + 0x632BE5AB));
  }
  return key;
}

/** The 32-bit finaliser of MurmurHash3: every bit of the input changes half of the output's. 0 stays 0. */
export function mix(value: number): number {
  let x = value | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85EBCA6B);
  x = Math.imul(x ^ (x >>> 13), 0xC2B2AE35);
  return (x ^ (x >>> 16)) >>> 0;
}
