/** Files as `torch.save` writes them: a stored zip archive with a pickle of protocol 2 and one entry per storage. */

import { DTYPE_BYTES } from "../../src/io/safetensors.ts";
import { elementsIn } from "../../src/io/shape.ts";
import type { TensorData } from "./encode_safetensors.ts";

const STORAGES = {
  F32: "FloatStorage",
  F16: "HalfStorage",
  BF16: "BFloat16Storage",
  F64: "DoubleStorage",
  I32: "IntStorage",
  I64: "LongStorage",
} as const;

const encoder = new TextEncoder();

/** One file of an archive, which may lie about itself. */
export interface ZipFile {
  name: string;
  bytes: Uint8Array;
  method?: number;
  /** The size that the directory claims for what is unpacked. */
  claims?: number;
}

/** A dict of tensors, in a folder of the archive. */
export function encodeTorch(tensors: ReadonlyMap<string, TensorData>): Uint8Array<ArrayBuffer> {
  const storages = [...tensors.values()].map(({ data }, index) => ({
    name: `adapter_model/data/${index}`,
    bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  }));
  return encodeZip([
    { name: "adapter_model/data.pkl", bytes: pickleOf(tensors) },
    { name: "adapter_model/byteorder", bytes: encoder.encode("little") },
    ...storages,
    { name: "adapter_model/version", bytes: encoder.encode("3\n") },
  ]);
}

/** The pickle of a dict of tensors; storage `n` is that of the n-th. */
export function pickleOf(tensors: ReadonlyMap<string, TensorData>): Uint8Array<ArrayBuffer> {
  const pickle = new PickleWriter().raw(0x80, 2, 0x7d).put().raw(0x28);
  let key = 0;
  for (const [name, { dtype, shape, data }] of tensors) {
    const type = STORAGES[dtype as keyof typeof STORAGES];
    const elements = data.byteLength / DTYPE_BYTES[dtype];
    pickle.text(name).put().global("torch._utils", "_rebuild_tensor_v2").put().raw(0x28, 0x28)
      .text("storage").put().global("torch", type).put().text(String(key++)).put()
      .text("cpu").put().number(elements).raw(0x74).put().raw(0x51).number(0)
      .tuple(shape).tuple(stridesOf(shape)).raw(0x89)
      .global("collections", "OrderedDict").put().raw(0x29, 0x52).put()
      .raw(0x74).put().raw(0x52).put();
  }
  return pickle.raw(0x75, 0x2e).bytes();
}

function stridesOf(shape: readonly number[]): number[] {
  return shape.map((_, axis) => elementsIn(shape.slice(axis + 1)));
}

/** Appends opcodes. */
export class PickleWriter {
  readonly #bytes: number[] = [];
  #memo = 0;

  raw(...bytes: number[]): this {
    for (const byte of bytes) this.#bytes.push(byte);
    return this;
  }

  /** BINPUT or LONG_BINPUT of the next slot. */
  put(): this {
    const slot = this.#memo++;
    return slot < 256 ? this.raw(0x71, slot) : this.raw(0x72, ...little(slot, 4));
  }

  text(text: string): this {
    const bytes = encoder.encode(text);
    return this.raw(0x58, ...little(bytes.length, 4), ...bytes);
  }

  number(value: number): this {
    if (value < 256) return this.raw(0x4b, value);
    return value < 65536
      ? this.raw(0x4d, ...little(value, 2))
      : this.raw(0x4a, ...little(value, 4));
  }

  global(module: string, name: string): this {
    return this.raw(0x63, ...encoder.encode(`${module}\n${name}\n`));
  }

  tuple(numbers: readonly number[]): this {
    if (numbers.length === 0) return this.raw(0x29);
    for (const value of numbers) this.number(value);
    return this.raw(0x84 + numbers.length).put();
  }

  bytes(): Uint8Array<ArrayBuffer> {
    return Uint8Array.from(this.#bytes);
  }
}

/** A zip archive whose files are stored. */
export function encodeZip(files: readonly ZipFile[]): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let offset = 0;
  const add = (to: Uint8Array[], ...bytes: Uint8Array[]) => {
    to.push(...bytes);
    return bytes.reduce((sum, { length }) => sum + length, 0);
  };
  for (const { name, bytes, method = 0, claims = bytes.length } of files) {
    const title = encoder.encode(name);
    const common = [...little(0, 4), ...little(method, 2), ...Array(8).fill(0)];
    const sizes = [...little(bytes.length, 4), ...little(claims, 4), ...little(title.length, 2)];
    const head = [...little(0x02014b50, 4), 0, 0, ...common, ...sizes, ...Array(12).fill(0)];
    add(directory, Uint8Array.from([...head, ...little(offset, 4)]), title);
    const local = Uint8Array.from([...little(0x04034b50, 4), ...common, ...sizes, 0, 0]);
    offset += add(parts, local, title, bytes);
  }
  const size = directory.reduce((sum, { length }) => sum + length, 0);
  const count = little(files.length, 2);
  const end = [...little(0x06054b50, 4), 0, 0, 0, 0, ...count, ...count];
  add(directory, Uint8Array.from([...end, ...little(size, 4), ...little(offset, 4), 0, 0]));
  return concat([...parts, ...directory]);
}

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function little(value: number, bytes: number): number[] {
  return Array.from({ length: bytes }, (_, index) => Math.floor(value / 256 ** index) & 255);
}
