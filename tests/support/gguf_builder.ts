/** Writes GGUF files for tests, good or deliberately bad. */

const VALUE_TYPES = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9, u64: 10 } as const;

/** A metadata value with its type. */
export type GgufField =
  | { type: "u32" | "i32" | "f32" | "u64"; value: number }
  | { type: "bool"; value: boolean }
  | { type: "string"; value: string }
  | { type: "strings"; value: string[] }
  | { type: "i32s" | "f32s"; value: number[] }
  | { type: "bools"; value: boolean[] };

/** A tensor, with its dimensions in the order of the file: fastest first. */
export interface GgufBuilderTensor {
  name: string;
  dimensions: number[];
  type: number;
  data: Uint8Array;
  /** Instead of the right one. */
  offset?: number;
}

/** What a file holds. */
export interface GgufContent {
  version?: number;
  metadata?: [string, GgufField][];
  tensors?: GgufBuilderTensor[];
  /** Instead of the right ones. */
  tensorCount?: bigint;
  metadataCount?: bigint;
}

const ALIGNMENT = 32;

/** Appends little-endian values. */
export class ByteWriter {
  readonly #bytes: number[] = [];

  u8(value: number): this {
    this.#bytes.push(value);
    return this;
  }

  u32(value: number): this {
    return this.raw(new Uint8Array(Uint32Array.of(value).buffer));
  }

  u64(value: number | bigint): this {
    return this.raw(new Uint8Array(BigUint64Array.of(BigInt(value)).buffer));
  }

  f32(value: number): this {
    return this.raw(new Uint8Array(Float32Array.of(value).buffer));
  }

  string(value: string): this {
    const bytes = new TextEncoder().encode(value);
    return this.u64(bytes.length).raw(bytes);
  }

  raw(bytes: Uint8Array): this {
    for (const byte of bytes) this.#bytes.push(byte);
    return this;
  }

  align(to: number): this {
    while (this.#bytes.length % to !== 0) this.#bytes.push(0);
    return this;
  }

  get length(): number {
    return this.#bytes.length;
  }

  bytes(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }
}

/** The file's bytes. */
export function buildGguf(content: GgufContent): Uint8Array {
  const { metadata = [], tensors = [] } = content;
  const writer = new ByteWriter()
    .raw(new TextEncoder().encode("GGUF"))
    .u32(content.version ?? 3)
    .u64(content.tensorCount ?? tensors.length)
    .u64(content.metadataCount ?? metadata.length);
  for (const [key, field] of metadata) writeField(writer.string(key), field);
  let offset = 0;
  for (const tensor of tensors) {
    writer.string(tensor.name).u32(tensor.dimensions.length);
    for (const size of tensor.dimensions) writer.u64(size);
    writer.u32(tensor.type).u64(tensor.offset ?? offset);
    offset += Math.ceil(tensor.data.length / ALIGNMENT) * ALIGNMENT;
  }
  writer.align(ALIGNMENT);
  for (const tensor of tensors) writer.raw(tensor.data).align(ALIGNMENT);
  return writer.bytes();
}

function writeField(writer: ByteWriter, field: GgufField): void {
  switch (field.type) {
    case "strings":
      writer.u32(VALUE_TYPES.array).u32(VALUE_TYPES.string).u64(field.value.length);
      for (const text of field.value) writer.string(text);
      return;
    case "i32s":
      writer.u32(VALUE_TYPES.array).u32(VALUE_TYPES.i32).u64(field.value.length);
      for (const value of field.value) writer.u32(value);
      return;
    case "f32s":
      writer.u32(VALUE_TYPES.array).u32(VALUE_TYPES.f32).u64(field.value.length);
      for (const value of field.value) writer.f32(value);
      return;
    case "bools":
      writer.u32(VALUE_TYPES.array).u32(VALUE_TYPES.bool).u64(field.value.length);
      for (const value of field.value) writer.u8(Number(value));
      return;
    default:
      writeScalar(writer.u32(VALUE_TYPES[field.type]), field);
  }
}

function writeScalar(
  writer: ByteWriter,
  field: Exclude<GgufField, { type: "strings" | "i32s" | "f32s" | "bools" }>,
): void {
  switch (field.type) {
    case "string":
      writer.string(field.value);
      return;
    case "bool":
      writer.u8(field.value ? 1 : 0);
      return;
    case "f32":
      writer.f32(field.value);
      return;
    case "u64":
      writer.u64(field.value);
      return;
    default:
      writer.u32(field.value);
  }
}
