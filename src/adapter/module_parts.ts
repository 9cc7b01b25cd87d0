/** What an adapter has for matrices that a model's files stack in one, taken apart as the model itself is. */

import { SpielError } from "../errors.ts";
import { firstAtLeast } from "./slots.ts";
import type { Adapter, BaseModel, DenseChange, ModulePart, StoredDeltas } from "./adapter.ts";

/**
 * The adapter with the modules of the model, under their names in it.
 *
 * @param where The adapter, for messages.
 * @throws {SpielError} "data" for a module that does not have the rows of its parts, or two names of one module.
 */
export function inPartsOf(
  { partsOf, shapeOf }: BaseModel,
  adapter: Adapter,
  where: string,
): Adapter {
  if (partsOf === undefined) return adapter;
  const origins = new Map<string, string>();
  /** Refuses a second change of one module of the model. */
  const claim = (module: string, stored: string) => {
    const other = origins.get(module);
    if (other === undefined) origins.set(module, stored);
    else {throw new SpielError(
        "data",
        `${where} has "${other}" and "${stored}", which are both "${module}"`,
      );}
  };
  const modules = new Map<string, StoredDeltas>();
  for (const [stored, deltas] of adapter.modules) {
    const parts = partsOf(stored);
    const inputs = shapeOf(stored)?.[1] ?? 0;
    for (const part of parts) {
      claim(part.module, stored);
      modules.set(part.module, parts.length === 1 ? deltas : deltasOf(part, deltas, inputs));
    }
    const end = rowsOf(parts) * inputs;
    const last = deltas.indices.at(-1) ?? -1;
    if (parts.length > 1 && last >= end) {
      throw new SpielError(
        "data",
        `${where} has a delta at position ${last} of "${stored}", but the model's has ${end} weights`,
      );
    }
  }
  const changes = new Map<string, DenseChange>();
  for (const [stored, change] of adapter.changes) {
    const parts = partsOf(stored);
    const [rows] = change.shape;
    if (parts.length > 1 && rows !== null && rows !== rowsOf(parts)) {
      throw new SpielError(
        "data",
        `${where} changes ${rows} rows of "${stored}", but the model's has ${rowsOf(parts)}`,
      );
    }
    for (const part of parts) {
      claim(part.module, stored);
      changes.set(part.module, parts.length === 1 ? change : new ChangeOfPart(part, change));
    }
  }
  return { ...adapter, modules, changes };
}

function rowsOf(parts: readonly ModulePart[]): number {
  return parts.reduce((sum, { rows }) => sum + rows, 0);
}

function deltasOf(
  { firstRow, rows }: ModulePart,
  { indices, values, ...rest }: StoredDeltas,
  inputs: number,
): StoredDeltas {
  const [start, end] = [firstRow * inputs, (firstRow + rows) * inputs];
  const [first, last] = [firstAtLeast(indices, start), firstAtLeast(indices, end)];
  return {
    ...rest,
    indices: indices.slice(first, last).map((index) => index - start),
    values: values.slice(first, last),
  };
}

/** Those rows of a change that are one part's. */
class ChangeOfPart implements DenseChange {
  readonly shape: DenseChange["shape"];
  readonly changesBias: boolean;
  /** Of the whole change, as parts share numbers. */
  readonly parameters: number;
  readonly #firstRow: number;
  readonly #change: DenseChange;

  constructor({ firstRow, rows }: ModulePart, change: DenseChange) {
    const [out, inputs] = change.shape;
    this.shape = [out === null ? null : rows, inputs];
    this.changesBias = change.changesBias;
    this.parameters = change.parameters;
    this.#firstRow = firstRow;
    this.#change = change;
  }

  apply(rows: Float32Array, rowLength: number, firstRow: number): void {
    this.#change.apply(rows, rowLength, this.#firstRow + firstRow);
  }
}
