/** Rewrites a safetensors file in half the bytes. */

import type { Engine } from "../../mod.ts";

interface TensorEntry {
  dtype: string;
  data_offsets: number[];
}

/** The same tensors in f16, from the bytes of a file whose tensors are all f32. */
export async function toHalf(engine: Engine, file: Uint8Array): Promise<Blob> {
  const headerLength = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  const payload = file.subarray(8 + headerLength);
  const { __metadata__, ...tensors }: Record<string, TensorEntry> = JSON.parse(
    new TextDecoder().decode(file.subarray(8, 8 + headerLength)),
  );
  for (const tensor of Object.values(tensors)) {
    tensor.dtype = "F16";
    tensor.data_offsets = tensor.data_offsets.map((offset) => offset / 2);
  }
  const text = JSON.stringify({ __metadata__, ...tensors });
  // The format wants payloads at multiples of eight bytes.
  const header = new TextEncoder().encode(text.padEnd(Math.ceil(text.length / 8) * 8));
  const length = new Uint8Array(new BigUint64Array([BigInt(header.length)]).buffer);
  const half = await engine.convert(payload, "f32", "f16", payload.length / 4);
  return new Blob([length, header, half]);
}
