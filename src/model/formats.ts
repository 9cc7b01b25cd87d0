/** Layouts of stored weights, as the engine tells them. */

import type { Engine } from "../engine/engine.ts";
import type { FormatInfo, WeightFormat } from "../engine/protocol.gen.ts";
import { SpielError } from "../errors.ts";

/**
 * The bytes and elements of a format's blocks.
 *
 * @throws {SpielError} `data` naming the tensor and the formats that the engine reads.
 */
export function formatInfo(engine: Engine, format: WeightFormat, tensor: string): FormatInfo {
  const info = engine.info.formats.find((one) => one.format === format);
  if (info !== undefined) return info;
  const known = engine.info.formats.map((one) => one.format).join(", ");
  throw new SpielError("data", `Tensor "${tensor}" is ${format}; this engine reads ${known}`);
}

/** Whether weights are stored as blocks of codes, rather than as a float each. */
export function isQuantized(format: WeightFormat): boolean {
  return !["f32", "f16", "bf16"].includes(format);
}
