/** Arrays on their way to and from an engine: payloads are little-endian bytes. */

import type { ArrayType } from "./protocol.gen.ts";

/** A packed micro-batch: sequences laid end to end, without padding. */
export interface Batch {
  /** Token ids, `[T]`. */
  readonly tokens: Uint32Array;
  /** The token to predict after each position, or `IGNORE`, `[T]`. */
  readonly targets: Uint32Array;
  /** 0, then the end of each sequence, `[B + 1]`. */
  readonly cuSeqlens: Uint32Array;
}

/** One of the arrays that the engine holds for a module or tensor. */
export type StateArray = Uint32Array<ArrayBuffer> | Float32Array<ArrayBuffer>;

/** The size of a micro-batch. */
export function shapeOf(batch: Batch): { tokens: number; sequences: number } {
  return { tokens: batch.tokens.length, sequences: batch.cuSeqlens.length - 1 };
}

/** A micro-batch as a request carries it. */
export function batchBytes({ tokens, targets, cuSeqlens }: Batch): Uint8Array {
  const all = new Uint32Array(tokens.length + targets.length + cuSeqlens.length);
  all.set(tokens, 0);
  all.set(targets, tokens.length);
  all.set(cuSeqlens, tokens.length + targets.length);
  return bytesOf(all);
}

/** The bytes of an array, without copying. */
export function bytesOf(array: Uint32Array | Float32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/** A payload as an array of its type. */
export function viewAs(dtype: ArrayType, payload: Uint8Array<ArrayBuffer>): StateArray {
  const aligned = payload.byteOffset % 4 === 0 ? payload : payload.slice();
  const place = [aligned.buffer, aligned.byteOffset, aligned.byteLength / 4] as const;
  return dtype === "u32" ? new Uint32Array(...place) : new Float32Array(...place);
}
