/** Lays out and encodes safetensors files: the same input always gives the same bytes. */
import { SpielError } from "../errors.ts";
import { DTYPE_BYTES, type SafetensorsDtype } from "./safetensors.ts";

/** One tensor to write. */
export interface SafetensorsSpec {
  dtype: SafetensorsDtype;
  shape: readonly number[];
}

/** A tensor to write and its elements, little-endian in row-major order. */
export interface SafetensorsTensor extends SafetensorsSpec {
  data: ArrayBufferView;
}

/** The start of a file and the order in which payloads follow it, without gaps. */
export interface SafetensorsPlan {
  /** Everything before the first payload. */
  header: Uint8Array<ArrayBuffer>;
  payloads: { name: string; byteLength: number }[];
  /** Bytes of the whole file. */
  size: number;
}

/**
 * Plans a file, for writers that stream payloads. Wider dtypes come first and names in code unit order
 * within a dtype size, so that every tensor is aligned to its elements.
 */
export function safetensorsHeader(
  specs: ReadonlyMap<string, SafetensorsSpec>,
  metadata: Readonly<Record<string, string>> = {},
): SafetensorsPlan {
  const ordered = [...specs].sort(([nameA, a], [nameB, b]) =>
    DTYPE_BYTES[b.dtype] - DTYPE_BYTES[a.dtype] || (nameA < nameB ? -1 : nameA > nameB ? 1 : 0)
  );
  // A Map, not an object, so that no tensor name is special to JavaScript.
  const fields: string[] = [];
  const metadataKeys = Object.keys(metadata).sort();
  if (metadataKeys.length > 0) {
    const sorted = metadataKeys.map((key) =>
      `${JSON.stringify(key)}:${JSON.stringify(metadata[key])}`
    );
    fields.push(`"__metadata__":{${sorted.join(",")}}`);
  }
  const payloads: SafetensorsPlan["payloads"] = [];
  let offset = 0;
  for (const [name, { dtype, shape }] of ordered) {
    const byteLength = shape.reduce((product, size) => product * size, DTYPE_BYTES[dtype]);
    const end = offset + byteLength;
    fields.push(
      `${JSON.stringify(name)}:` +
        JSON.stringify({ dtype, shape: [...shape], data_offsets: [offset, end] }),
    );
    payloads.push({ name, byteLength });
    offset = end;
  }
  const json = new TextEncoder().encode(`{${fields.join(",")}}`);
  const padded = Math.ceil(json.length / 8) * 8;
  const header = new Uint8Array(8 + padded).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(padded), true);
  header.set(json, 8);
  return { header, payloads, size: header.length + offset };
}

/**
 * Encodes a whole file in memory.
 *
 * @throws {SpielError} kind "internal" when a tensor's data does not have the size of its shape.
 */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, SafetensorsTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const plan = safetensorsHeader(tensors, metadata);
  const bytes = new Uint8Array(plan.size);
  bytes.set(plan.header);
  let offset = plan.header.length;
  for (const { name, byteLength } of plan.payloads) {
    const data = tensors.get(name)?.data;
    if (data?.byteLength !== byteLength) {
      throw new SpielError(
        "internal",
        `Cannot encode tensor "${name}": ${data?.byteLength} bytes given, ${byteLength} expected`,
      );
    }
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, byteLength), offset);
    offset += byteLength;
  }
  return bytes;
}
