/** What an adapter layout is: one file that implements this, and one line in the registry. */

import type { SafetensorsTensor } from "../../io/safetensors_writer.ts";
import type { TensorFile } from "../../io/tensor_file.ts";
import type { Adapter, AdapterConfig, BaseModel, Shape } from "../adapter.ts";
import type { SparseDeltas } from "../deltas.ts";

/** The files of an adapter folder. */
export interface AdapterFiles {
  /** The content of `adapter_config.json`. */
  readonly json: Readonly<Record<string, unknown>>;
  /** Its path, for messages. */
  readonly configPath: string;
  readonly tensors: TensorFile;
  readonly base: BaseModel;
}

/** Sparse deltas to write in some layout. */
export interface SparseAdapter {
  readonly config: AdapterConfig;
  readonly modules: ReadonlyMap<string, SparseDeltas>;
}

/** An adapter folder to write. */
export interface EncodedAdapter {
  /** The content of `adapter_config.json`. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly tensors: ReadonlyMap<string, SafetensorsTensor>;
  /** Deltas of value 0 that were added because the layout asks for a number of them. */
  readonly padding: number;
}

/** One kind of adapter. */
export interface AdapterLayout {
  /** Its `peft_type`. */
  readonly peftType: string;
  /**
   * Reads an adapter.
   *
   * @throws {SpielError} kind "data" naming the file, the field or tensor, and what was expected.
   */
  read(files: AdapterFiles): Adapter;
  /**
   * Encodes sparse deltas exactly, where the layout holds any.
   *
   * @param shapeOf Must know every module.
   * @throws {SpielError} kind "data" where the layout cannot hold them.
   */
  encode?(adapter: SparseAdapter, shapeOf: (module: string) => Shape): EncodedAdapter;
}
