/**
 * The weights of norms as some GGUF architectures store them: with one added, where Hugging Face's are what they differ from
 * one by.
 */

/** Whether a tensor, by its Hugging Face name, is the weights of a norm. */
export function isNorm(name: string): boolean {
  return name.endsWith("norm.weight");
}

/** F32 weights as Hugging Face has them, of such as stored. */
export function withoutOne(stored: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return shifted(stored, -1);
}

/** F32 weights as stored, of such as Hugging Face has them. */
export function withOne(weights: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return shifted(weights, 1);
}

function shifted(weights: Uint8Array<ArrayBuffer>, by: number): Uint8Array<ArrayBuffer> {
  const result = weights.slice();
  const view = new DataView(result.buffer);
  for (let at = 0; at < result.length; at += 4) {
    view.setFloat32(at, view.getFloat32(at, true) + by, true);
  }
  return result;
}
