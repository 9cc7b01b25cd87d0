/** A tensor out of the engine in bounded parts. */

import type { Engine } from "../engine/engine.ts";
import type { TensorInfo } from "../engine/protocol.gen.ts";

/** Bytes that are on their way between the engine and a file at once. */
export const PART_BYTES = 16 << 20;
const BYTES = { f32: 4, f16: 2, bf16: 2 } as const;

/**
 * Reads a tensor in parts of whole rows.
 *
 * @param format How the elements are encoded.
 * @param merged Whether deltas are added, in f32 before rounding.
 */
export async function* tensorParts(
  engine: Engine,
  { name, shape }: TensorInfo,
  format: keyof typeof BYTES,
  merged: boolean,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const [rows, columns] = shape.length === 2 ? [shape[0] ?? 0, shape[1] ?? 0] : [1, shape[0] ?? 0];
  const step = Math.max(1, Math.floor(PART_BYTES / (columns * BYTES[format])));
  for (let row = 0; row < rows; row += step) {
    yield await engine.readTensor(name, row, Math.min(step, rows - row), format, merged);
  }
}
