/** A tensor out of the engine in bounded parts. */

import type { Engine } from "../engine/engine.ts";
import type { TensorInfo, WeightFormat } from "../engine/protocol.gen.ts";
import { formatInfo } from "./formats.ts";

/** Bytes that are on their way between the engine and a file at once; several such parts wait to be collected. */
export const PART_BYTES = 4 << 20;

/**
 * Reads a tensor in parts of whole rows.
 *
 * @param format How the elements are encoded.
 * @param merged Whether deltas are added, in f32 before rounding.
 * @param together Rows that are not parted.
 */
export async function* tensorParts(
  engine: Engine,
  { name, shape }: Pick<TensorInfo, "name" | "shape">,
  format: WeightFormat,
  merged: boolean,
  together = 1,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const [rows, columns] = shape.length === 2 ? [shape[0] ?? 0, shape[1] ?? 0] : [1, shape[0] ?? 0];
  const { blockElements, blockBytes } = formatInfo(engine, format, name);
  const rowBytes = columns / blockElements * blockBytes;
  const step = Math.max(1, Math.floor(PART_BYTES / (rowBytes * together))) * together;
  for (let row = 0; row < rows; row += step) {
    yield await engine.readTensor(name, row, Math.min(step, rows - row), format, merged);
  }
}
