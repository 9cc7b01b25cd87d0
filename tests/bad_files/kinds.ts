/** What a kind of bad file is, and how good files are spoiled. */

import { encodeSafetensors, type TensorData } from "../support/encode_safetensors.ts";
import { SafetensorsFile } from "../../src/io/safetensors.ts";

/** One way to spoil the files of a family. */
export type BadKind = readonly [
  title: string,
  /** Spoils the good files in a folder. */
  spoil: (folder: string) => unknown,
  /** What the refusal must say: the file, the field, the value or reason. */
  ...words: RegExp[],
];

/** Kinds that begin with the same good files. */
export interface Family {
  readonly name: string;
  /** Writes the good files. */
  make(folder: string): void;
  /** The command that reads them, and accepts them as they are. */
  args(folder: string): string[];
  readonly kinds: readonly BadKind[];
}

/** A file that is far larger than memory and takes no room on the disk: only its beginning is there. */
export const HUGE_BYTES = 2 ** 36;

/** Rewrites a file. */
export function editBytes(
  path: string,
  change: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array | void,
): void {
  const bytes = Deno.readFileSync(path);
  Deno.writeFileSync(path, change(bytes) ?? bytes);
}

/** Rewrites a JSON file; what `change` returns, if anything, is written instead. */
export function editJson<Json = Record<string, unknown>>(
  path: string,
  change: (json: Json) => unknown,
): void {
  const json = JSON.parse(Deno.readTextFileSync(path));
  const changed = change(json);
  Deno.writeTextFileSync(path, JSON.stringify(changed === undefined ? json : changed));
}

/** An entry of a safetensors header. */
export interface HeaderEntry {
  dtype: unknown;
  shape: unknown;
  data_offsets: unknown;
}

/** Rewrites the header of a safetensors file over the same payload; a text is taken as it is. */
export function editHeader(
  path: string,
  change: (header: Record<string, HeaderEntry>) => string | Uint8Array | void,
): void {
  const bytes = Deno.readFileSync(path);
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const changed = change(header) ?? JSON.stringify(header);
  const encoded = typeof changed === "string" ? new TextEncoder().encode(changed) : changed;
  Deno.writeFileSync(path, safetensorsOf(encoded.length, encoded, bytes.subarray(8 + length)));
}

/** A safetensors file of parts that need not fit each other. */
export function safetensorsOf(
  headerLength: number | bigint,
  header: Uint8Array,
  payload: Uint8Array = new Uint8Array(),
): Uint8Array {
  const bytes = new Uint8Array(8 + header.length + payload.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerLength), true);
  bytes.set(header, 8);
  bytes.set(payload, 8 + header.length);
  return bytes;
}

/** Rewrites the tensors of a safetensors file, which stays a good file. */
export function editTensors(
  path: string,
  change: (tensors: Map<string, TensorData>) => unknown,
): void {
  const tensors = readTensors(path);
  change(tensors);
  Deno.writeFileSync(path, encodeSafetensors(tensors));
}

/** All tensors of a safetensors file. */
export function readTensors(path: string): Map<string, TensorData> {
  using file = SafetensorsFile.open(path);
  return new Map(
    [...file.tensors].map(([name, { dtype, shape }]) =>
      [name, { dtype, shape: [...shape], data: file.read(name) }] as const
    ),
  );
}

/** Changes one tensor in place. */
export function editTensor(
  path: string,
  name: string,
  change: (tensor: TensorData) => Partial<TensorData>,
): void {
  editTensors(path, (tensors) => {
    const tensor = tensors.get(name);
    if (tensor === undefined) throw new Error(`${path} has no ${name}`);
    tensors.set(name, { ...tensor, ...change(tensor) });
  });
}

/** Copies the files of a folder. */
export function copyFolder(from: string, to: string): void {
  Deno.mkdirSync(to, { recursive: true });
  for (const { name, isFile } of Deno.readDirSync(from)) {
    if (isFile) Deno.copyFileSync(`${from}/${name}`, `${to}/${name}`);
  }
}
