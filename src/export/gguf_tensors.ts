/** The tensors of a GGUF file, made of an engine's model one part after the other. */

import type { Engine } from "../engine/engine.ts";
import type { ModelConfig, TensorInfo, WeightFormat } from "../engine/protocol.gen.ts";
import { SpielError } from "../errors.ts";
import { indexOfNonFinite } from "../io/finite.ts";
import type { GgufTensorContent } from "../io/gguf_writer.ts";
import type { GgufArchitecture } from "../model/architectures/mod.ts";
import { formatInfo } from "../model/formats.ts";
import { ggufName } from "../model/gguf_names.ts";
import { isNorm, withOne } from "../model/gguf_norms.ts";
import { isRotaryProjection, withHalvesInterleaved } from "../model/gguf_rows.ts";
import { ROPE_FACTORS_TENSOR, ropeFactorsOf } from "../model/rope.ts";
import { tensorParts } from "../model/tensor_parts.ts";
import { type GgufType, storedFormat } from "./gguf_types.ts";

/** What the tensors are made of. */
export interface GgufTensorOptions {
  /** What the model is stored as. */
  readonly type: GgufType;
  /** The model's numbers. */
  readonly config: ModelConfig;
  /** How its architecture is stored. */
  readonly gguf: GgufArchitecture;
  /** Stops before the next tensor. */
  readonly signal?: AbortSignal | undefined;
}

/** A tensor of the file: one of the model's, or several stacked. */
interface Stored {
  name: string;
  shape: readonly number[];
  parts: readonly TensorInfo[];
}

/**
 * All tensors in the order of the layers, with deltas added in f32 before they are rounded.
 *
 * @param tensors The model's tensors, as `ModelPlan` gives them.
 */
export function ggufTensors(
  engine: Engine,
  tensors: readonly TensorInfo[],
  options: GgufTensorOptions,
): GgufTensorContent[] {
  const { type, config, gguf } = options;
  const stored = stacked(tensors, gguf.stacks?.(config) ?? []).map((tensor) => {
    const info = (format: WeightFormat) => formatInfo(engine, format, tensor.name);
    const format = storedFormat(type, tensor, config, info);
    return {
      name: nameInFile(tensor.name, gguf.names),
      type: format.toUpperCase(),
      shape: tensor.shape,
      parts: () => packedRows(engine, tensor, format, options),
    };
  });
  const factors = ropeFactorsOf(config, config.head_dim);
  if (factors === null) return stored;
  const content: GgufTensorContent = {
    name: ROPE_FACTORS_TENSOR,
    type: "F32",
    shape: [factors.length],
    async *parts() {
      yield new Uint8Array(factors.buffer);
    },
  };
  return [...stored, content];
}

function nameInFile(name: string, own: GgufArchitecture["names"]): string {
  const found = ggufName(name, own);
  if (found !== null) return found;
  throw new SpielError("internal", `Tensor "${name}" has no name in GGUF files`);
}

function stacked(
  tensors: readonly TensorInfo[],
  stacks: ReturnType<NonNullable<GgufArchitecture["stacks"]>>,
): Stored[] {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  return tensors.flatMap((tensor) => {
    const [, layer, part] = /^(model\.layers\.\d+\.)(.+)\.weight$/.exec(tensor.name) ?? [];
    const stack = stacks.find(({ parts }) => parts.some(([name]) => name === part));
    if (stack === undefined) return [{ name: tensor.name, shape: tensor.shape, parts: [tensor] }];
    if (stack.parts[0]?.[0] !== part) return [];
    const parts = stack.parts.map(([name]) => byName.get(`${layer}${name}.weight`)!);
    const rows = stack.parts.reduce((sum, [, rows]) => sum + rows, 0);
    const shape = [rows, tensor.shape[1] ?? 0];
    return [{ name: `${layer}${stack.name}.weight`, shape, parts }];
  });
}

async function* packedRows(
  engine: Engine,
  { parts }: Stored,
  format: WeightFormat,
  { config: { head_dim }, gguf, type, signal }: GgufTensorOptions,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for (const tensor of parts) {
    if (signal?.aborted) throw new SpielError("interrupted", "Stopped while saving the model");
    const isInterleaved = gguf.interleavesHeads && isRotaryProjection(tensor.name);
    const { blockElements, blockBytes } = formatInfo(engine, format, tensor.name);
    const rowBytes = (tensor.shape[1] ?? 1) / blockElements * blockBytes;
    const together = isInterleaved && tensor.shape.length === 2 ? head_dim : 1;
    for await (const rows of tensorParts(engine, tensor, format, true, together)) {
      if (indexOfNonFinite(format.toUpperCase(), rows) >= 0) {
        throw new SpielError(
          "data",
          `A weight of "${tensor.name}" is infinite or not a number in ${type}`,
        );
      }
      if (isInterleaved) yield withHalvesInterleaved(rows, rowBytes, head_dim);
      else yield gguf.addsOneToNorms && isNorm(tensor.name) ? withOne(rows) : rows;
    }
  }
}
