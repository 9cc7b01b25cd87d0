/** Safetensors files of tensors that are in memory. */
import {
  safetensorsHeader,
  type SafetensorsSpec,
  type SafetensorsTensor,
} from "../../src/io/safetensors_writer.ts";

/** A tensor and its elements, little-endian in row-major order. */
export interface TensorData extends SafetensorsSpec {
  data: ArrayBufferView<ArrayBuffer>;
}

/** A whole file. */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, TensorData>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const plan = safetensorsHeader(tensors, metadata);
  const bytes = new Uint8Array(plan.size);
  bytes.set(plan.header);
  let offset = plan.header.length;
  for (const { name, byteLength } of plan.payloads) {
    const { buffer, byteOffset } = tensors.get(name)!.data;
    bytes.set(new Uint8Array(buffer, byteOffset, byteLength), offset);
    offset += byteLength;
  }
  return bytes;
}

/** The same tensor to write, in parts of at most `partBytes`. */
export function inParts({ data, ...spec }: TensorData, partBytes = Infinity): SafetensorsTensor {
  const { buffer, byteOffset, byteLength } = data;
  return {
    ...spec,
    *parts() {
      for (let at = 0; at < byteLength; at += partBytes) {
        yield new Uint8Array(buffer, byteOffset + at, Math.min(partBytes, byteLength - at));
      }
    },
  };
}
