/** Changes of whole matrices, made to their rows in f32 on the way into the engine. */

import type { Engine } from "../engine/engine.ts";
import type { TensorInfo, WeightFormat } from "../engine/protocol.gen.ts";
import { formatInfo } from "./formats.ts";
import type { ModelSource } from "./source.ts";
import type { ModelTensor } from "./tensors.ts";
import { PART_BYTES } from "./tensor_parts.ts";

/** A change of which every row can be made by itself. */
export interface RowChange {
  /**
   * Changes whole rows in place.
   *
   * @param rows f32 weights, row-major.
   * @param rowLength Weights in a row; 1 for a vector, whose elements are rows.
   * @param firstRow Number of the first of them in the tensor.
   */
  apply(rows: Float32Array, rowLength: number, firstRow: number): void;
}

/** What is changed, and how it is held then: rounded once, after the change. */
export interface TensorChanges {
  /** How changed matrices are held; vectors always are in f32. */
  readonly format: Extract<WeightFormat, "f32" | "f16" | "bf16">;
  /** By tensor name. */
  readonly of: ReadonlyMap<string, RowChange>;
}

/** Streams a tensor into the engine in parts of whole rows, each of them changed. */
export async function streamChanged(
  engine: Engine,
  source: ModelSource,
  { name, format }: TensorInfo,
  stored: ModelTensor,
  change: RowChange,
): Promise<void> {
  const from = formatInfo(engine, stored.format, name);
  const to = formatInfo(engine, format, name);
  const [rows = 0, rowLength = 1] = stored.shape;
  const rowBytes = rowLength / from.blockElements * from.blockBytes;
  const step = Math.max(1, Math.floor(PART_BYTES / (4 * rowLength)));
  for (let row = 0; row < rows; row += step) {
    const count = Math.min(step, rows - row);
    const bytes = source.read(name, row * rowBytes, count * rowBytes);
    const elements = count * rowLength;
    const weights = stored.format === "f32"
      ? bytes
      : await engine.convert(bytes, stored.format, "f32", elements);
    change.apply(new Float32Array(weights.buffer, weights.byteOffset, elements), rowLength, row);
    await engine.writeTensor(
      name,
      row * rowLength / to.blockElements * to.blockBytes,
      format === "f32" ? weights : await engine.convert(weights, "f32", format, elements),
    );
  }
}
