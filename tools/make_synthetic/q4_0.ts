/** Random weights in GGUF's Q4_0, drawn as the codes that they are stored as. */

/** Weights and bytes of a block: an f16 scale and a nibble per weight. */
export const BLOCK = { elements: 32, bytes: 18 } as const;

/** Scales of 2⁻⁸ and up to a quarter more: with codes of a standard deviation of 4.2, weights of one of 0.018. */
const LEAST_SCALE = 0x1C00;
const SCALE_BITS = 0xFF;

/** Fills bytes with whole blocks; the same seed gives the same ones. */
export function fillBlocks(bytes: Uint8Array, seed: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // Xorshift, which never leaves zero.
  let state = (Math.imul(seed, 0x9E3779B1) ^ 0x6D2B79F5) | 1;
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state;
  };
  for (let at = 0; at < bytes.length; at += BLOCK.bytes) {
    view.setUint16(at, LEAST_SCALE | next() & SCALE_BITS, true);
    for (let word = at + 2; word < at + BLOCK.bytes; word += 4) {
      view.setUint32(word, withoutZeros(next()), true);
    }
  }
}

/** Nibbles of 0 become 8, which stands for a weight of zero: those left are 1 to 15, as many below it as above. */
function withoutZeros(nibbles: number): number {
  const pairs = nibbles | nibbles >>> 1;
  return nibbles | (~(pairs | pairs >>> 2) & 0x11111111) << 3;
}
