/** Finds values that are infinite or not a number in a tensor's bytes, by their exponent bits. */

/**
 * @param dtype safetensors name of the element type; integer types hold only finite values.
 * @param data the tensor's elements, little-endian, at any alignment.
 * @returns the index of the first non-finite element, or -1.
 */
export function indexOfNonFinite(dtype: string, data: ArrayBufferView): number {
  switch (dtype) {
    case "F32":
      return search(words(data, Uint32Array), 0x7f80_0000);
    case "BF16":
      return search(words(data, Uint16Array), 0x7f80);
    case "F16":
      return search(words(data, Uint16Array), 0x7c00);
    case "F64":
      return words(data, Float64Array).findIndex((value) => !Number.isFinite(value));
    default:
      return -1;
  }
}

function search(bits: Uint32Array | Uint16Array, exponent: number): number {
  for (let index = 0; index < bits.length; index++) {
    if ((bits[index]! & exponent) === exponent) return index;
  }
  return -1;
}

interface ArrayType<A> {
  new (buffer: ArrayBufferLike, offset: number, length: number): A;
  readonly BYTES_PER_ELEMENT: number;
}

/** The bytes as an array of words; a copy only when they are not aligned. */
function words<A>({ buffer, byteOffset, byteLength }: ArrayBufferView, type: ArrayType<A>): A {
  const length = byteLength / type.BYTES_PER_ELEMENT;
  if (byteOffset % type.BYTES_PER_ELEMENT === 0) return new type(buffer, byteOffset, length);
  return new type(buffer.slice(byteOffset, byteOffset + byteLength), 0, length);
}
