/** What a file of named tensors is to its readers, whatever its container. */

import type { SafetensorsDtype } from "./safetensors.ts";

/** An open file of named tensors. */
export interface TensorFile extends Disposable {
  readonly path: string;
  readonly tensors: ReadonlyMap<
    string,
    { readonly dtype: SafetensorsDtype; readonly shape: number[] }
  >;
  /**
   * The entry of a tensor that must be there.
   *
   * @throws {SpielError} kind "data" where it is not.
   */
  entry(name: string): { readonly dtype: SafetensorsDtype; readonly shape: number[] };
  /** Reads a whole tensor: little-endian elements in row-major order. */
  read(name: string): Uint8Array<ArrayBuffer>;
}
