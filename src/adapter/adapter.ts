/** The one form that every adapter layout is read into. */

import type { RowChange } from "../model/tensor_changes.ts";
import type { SparseDeltas } from "./deltas.ts";
import type { Provenance } from "./provenance.ts";

/** Of a weight matrix. */
export type Shape = readonly [out: number, inputs: number];

/** The shape of a module's matrix in the base model, where it is known. */
export type ShapeOf = (module: string) => Shape | undefined;

/** Rows of a matrix in which a model's files stack several, as a module of its own. */
export interface ModulePart {
  /** The module here. */
  readonly module: string;
  /** Where its rows begin in the stored matrix. */
  readonly firstRow: number;
  /** How many there are. */
  readonly rows: number;
}

/** What layouts may have to know of the base model. */
export interface BaseModel {
  readonly shapeOf: ShapeOf;
  /** The weights of a module's matrix; undefined where they are not known, or not stored as numbers. */
  weightsOf(module: string): Float32Array | undefined;
  /** What a module of the adapter's files is in the model; the module of that name unless given. */
  partsOf?(stored: string): readonly ModulePart[];
  /** Whether positions that follow from the weights or their shape may be any, as nobody looks at them. */
  readonly anyPositions?: boolean;
}

/** Deltas of one module as an adapter file holds them. */
export interface StoredDeltas extends SparseDeltas {
  /** Precision in which the values are stored. */
  dtype: "F32" | "F16" | "BF16";
}

/** A change of a whole matrix. */
export interface DenseChange extends RowChange {
  /** The matrix that it is made for; `null` fits any size. */
  readonly shape: readonly [out: number | null, inputs: number | null];
  /** Whether the bias of the module, where it has one, is changed in the same way. */
  readonly changesBias: boolean;
  /** How many numbers of the adapter describe it. */
  readonly parameters: number;
}

/** What is known of every adapter. */
export interface AdapterConfig {
  readonly base_model_name_or_path: string | null;
  readonly target_modules: string | readonly string[] | null;
  /** Where an adapter of ours comes from. */
  readonly spiel?: Provenance | undefined;
}

/** A loaded adapter. A module has deltas or a dense change, never both. */
export interface Adapter {
  /** `peft_type`. */
  readonly layout: string;
  readonly config: AdapterConfig;
  /** What else its configuration tells of how it was made, for people. */
  readonly facts: Readonly<Record<string, unknown>>;
  /** Module name, such as `model.layers.0.self_attn.q_proj` → its deltas, in name order. */
  readonly modules: ReadonlyMap<string, StoredDeltas>;
  /** Module name → what becomes of its whole matrix, in name order. */
  readonly changes: ReadonlyMap<string, DenseChange>;
}
