/** Numbers in Thrift's compact form, of which Parquet's headers are made. */

/** A number that is not negative, as a signed one. */
export function zigzag(value: number): number[] {
  return varint(BigInt(value) * 2n);
}

/** Seven bits a byte, the lowest first; all but the last have the highest bit set. */
export function varint(value: bigint): number[] {
  const bytes: number[] = [];
  for (; value >= 0x80n; value >>= 7n) bytes.push(Number(value & 0x7Fn) | 0x80);
  return [...bytes, Number(value)];
}
