/** Lays out GGUF files (version 3) and makes them part by part: the same input always gives the same bytes. */
import { SpielError } from "../errors.ts";
import { GGML_TYPES } from "./ggml_types.ts";
import { elementsIn } from "./shape.ts";

/** A metadata value with the type that readers expect its key to have. */
export type GgufField =
  | { readonly type: "u32" | "f32"; readonly value: number }
  | { readonly type: "bool"; readonly value: boolean }
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "strings"; readonly value: readonly string[] }
  | { readonly type: "i32s" | "f32s"; readonly value: readonly number[] }
  /** The bytes that another file has, the type before the value: see `GgufFile.storedValue`. */
  | { readonly type: "stored"; readonly value: Uint8Array };

/** A tensor to write, whose bytes are made when its turn comes. */
export interface GgufTensorContent {
  readonly name: string;
  /** Name of its ggml type, such as `Q4_0`. */
  readonly type: string;
  /** Row-major, slowest dimension first: [out, in]. */
  readonly shape: readonly number[];
  /** The packed rows in order. */
  parts(): AsyncIterable<Uint8Array<ArrayBuffer>>;
}

const ALIGNMENT = 32;
const VERSION = 3;
const TYPES = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 } as const;

/** Bytes of a tensor's packed rows. */
export function ggufTensorBytes(
  { type, shape }: Pick<GgufTensorContent, "type" | "shape">,
): number {
  const { blockElements, blockBytes } = typeNamed(type)[1];
  return elementsIn(shape) / blockElements * blockBytes;
}

/**
 * A whole file in parts, for `publishFolder`. A tensor's bytes are asked for when its turn comes, so that no more than
 * one part of it is in memory.
 *
 * @param metadata By key, written in this order.
 * @throws {SpielError} kind "internal" when a tensor's parts do not have the size of its shape.
 */
export async function* ggufContent(
  metadata: ReadonlyMap<string, GgufField>,
  tensors: readonly GgufTensorContent[],
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  yield header(metadata, tensors);
  for (const tensor of tensors) {
    const expected = ggufTensorBytes(tensor);
    let given = 0;
    for await (const part of tensor.parts()) {
      given += part.byteLength;
      yield part;
    }
    if (given !== expected) {
      throw new SpielError(
        "internal",
        `Cannot encode tensor "${tensor.name}": ${given} bytes given, ${expected} expected`,
      );
    }
    yield new Uint8Array(padding(given));
  }
}

function padding(bytes: number): number {
  return (ALIGNMENT - bytes % ALIGNMENT) % ALIGNMENT;
}

function typeNamed(name: string): [number, { blockElements: number; blockBytes: number }] {
  const found = [...GGML_TYPES].find(([, type]) => type.name === name);
  if (found === undefined) throw new SpielError("internal", `There is no ggml type "${name}"`);
  return found;
}

function header(
  metadata: ReadonlyMap<string, GgufField>,
  tensors: readonly GgufTensorContent[],
): Uint8Array<ArrayBuffer> {
  const writer = new HeaderWriter();
  writer.raw(new TextEncoder().encode("GGUF"));
  writer.u32(VERSION);
  writer.u64(tensors.length);
  writer.u64(metadata.size);
  for (const [key, field] of metadata) {
    writer.string(key);
    writer.field(field);
  }
  let offset = 0;
  for (const { name, type, shape } of tensors) {
    writer.string(name);
    writer.u32(shape.length);
    for (const size of [...shape].reverse()) writer.u64(size);
    writer.u32(typeNamed(type)[0]);
    writer.u64(offset);
    const bytes = ggufTensorBytes({ type, shape });
    offset += bytes + padding(bytes);
  }
  writer.raw(new Uint8Array(padding(writer.length)));
  return writer.bytes();
}

/** Appends little-endian values to a buffer that grows. */
class HeaderWriter {
  #buffer = new Uint8Array(1 << 16);
  #view = new DataView(this.#buffer.buffer);
  #length = 0;
  readonly #utf8 = new TextEncoder();

  get length(): number {
    return this.#length;
  }

  bytes(): Uint8Array<ArrayBuffer> {
    return this.#buffer.slice(0, this.#length);
  }

  raw(bytes: Uint8Array): void {
    const at = this.#take(bytes.length);
    this.#buffer.set(bytes, at);
  }

  u32(value: number): void {
    const at = this.#take(4);
    this.#view.setUint32(at, value, true);
  }

  u64(value: number): void {
    const at = this.#take(8);
    this.#view.setBigUint64(at, BigInt(value), true);
  }

  string(text: string): void {
    const bytes = this.#utf8.encode(text);
    this.u64(bytes.length);
    this.raw(bytes);
  }

  field(field: GgufField): void {
    switch (field.type) {
      case "u32":
        this.u32(TYPES.u32);
        return this.u32(field.value);
      case "f32":
        this.u32(TYPES.f32);
        return this.#f32(field.value);
      case "bool":
        this.u32(TYPES.bool);
        return this.raw(Uint8Array.of(field.value ? 1 : 0));
      case "string":
        this.u32(TYPES.string);
        return this.string(field.value);
      case "stored":
        return this.raw(field.value);
      case "strings":
        return this.#array(TYPES.string, field.value, (text) => this.string(text));
      case "i32s":
        return this.#array(TYPES.i32, field.value, (value) => this.u32(value));
      case "f32s":
        return this.#array(TYPES.f32, field.value, (value) => this.#f32(value));
    }
  }

  #array<T>(type: number, values: readonly T[], write: (value: T) => void): void {
    this.u32(TYPES.array);
    this.u32(type);
    this.u64(values.length);
    for (const value of values) write(value);
  }

  #f32(value: number): void {
    const at = this.#take(4);
    this.#view.setFloat32(at, value, true);
  }

  /** Makes room for so many bytes and returns where they begin. */
  #take(bytes: number): number {
    const at = this.#length;
    this.#length += bytes;
    if (this.#length > this.#buffer.length) {
      const larger = new Uint8Array(2 * Math.max(this.#buffer.length, this.#length));
      larger.set(this.#buffer.subarray(0, at));
      this.#buffer = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }
}
