/** The start of a GGUF file, version 3: metadata and the table of tensors, before any payload. */

/** A metadata value with its type. */
export type Field =
  | { readonly type: "u32" | "f32"; readonly value: number }
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "strings"; readonly value: readonly string[] }
  | { readonly type: "i32s" | "f32s"; readonly value: readonly number[] };

/** A tensor to come. */
export interface TensorSpec {
  readonly name: string;
  /** Row-major, [out, in]; the file has them the other way round. */
  readonly shape: readonly number[];
  /** Number of the ggml type. */
  readonly type: number;
  readonly byteLength: number;
}

/** Payloads begin at multiples of this. */
const ALIGNMENT = 32;
const TYPE = { u32: 4, i32: 5, f32: 6, string: 8, array: 9 } as const;

/** Zeros that bring a position to the next payload's place. */
export function paddingAfter(position: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array((ALIGNMENT - position % ALIGNMENT) % ALIGNMENT);
}

/** Everything before the first payload. Payloads follow in the same order, each padded by `paddingAfter`. */
export function ggufHeader(
  metadata: ReadonlyMap<string, Field>,
  tensors: readonly TensorSpec[],
): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  const u32 = (value: number) => parts.push(bytesOf(Uint32Array.of(value)));
  const u64 = (value: number) => parts.push(bytesOf(BigUint64Array.of(BigInt(value))));
  const string = (text: string) => {
    const bytes = new TextEncoder().encode(text);
    u64(bytes.length);
    parts.push(bytes);
  };
  const array = (type: number, length: number) => {
    u32(TYPE.array);
    u32(type);
    u64(length);
  };
  const write = ({ type, value }: Field) => {
    switch (type) {
      case "strings":
        array(TYPE.string, value.length);
        value.forEach(string);
        return;
      case "i32s":
        array(TYPE.i32, value.length);
        parts.push(bytesOf(Int32Array.from(value)));
        return;
      case "f32s":
        array(TYPE.f32, value.length);
        parts.push(bytesOf(Float32Array.from(value)));
        return;
      case "string":
        u32(TYPE.string);
        string(value);
        return;
      case "f32":
        u32(TYPE.f32);
        parts.push(bytesOf(Float32Array.of(value)));
        return;
      case "u32":
        u32(TYPE.u32);
        u32(value);
    }
  };

  parts.push(new TextEncoder().encode("GGUF"));
  u32(3);
  u64(tensors.length);
  u64(metadata.size);
  for (const [key, field] of metadata) {
    string(key);
    write(field);
  }
  let offset = 0;
  for (const { name, shape, type, byteLength } of tensors) {
    string(name);
    u32(shape.length);
    shape.toReversed().forEach(u64);
    u32(type);
    u64(offset);
    offset += byteLength + paddingAfter(byteLength).length;
  }
  return joined(parts);
}

function bytesOf(array: Uint32Array | Int32Array | Float32Array | BigUint64Array) {
  return new Uint8Array(array.buffer as ArrayBuffer);
}

function joined(parts: readonly Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer> {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const all = new Uint8Array(length + paddingAfter(length).length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
