/** Deltas as two tensors of equal length: values, and flat row-major positions in any order. */

import { SpielError } from "../../errors.ts";
import type { TensorFile } from "../../io/tensor_file.ts";
import type { StoredDeltas } from "../adapter.ts";
import { decodeIndices, sortDeltas } from "../deltas.ts";
import { readFloats } from "./tensors.ts";

/**
 * Reads the deltas of a module.
 *
 * @throws SpielError "data" that names the tensor and what was expected.
 */
export function readFlatDeltas(
  file: TensorFile,
  valuesName: string,
  indicesName: string,
  module: string,
): StoredDeltas {
  const [values, indices] = [file.entry(valuesName), file.entry(indicesName)];
  const where = `${file.path}: "${module}"`;
  const flat = values.shape.length === 1 && indices.shape.length === 1;
  if (!flat || indices.shape[0] !== values.shape[0]) {
    throw new SpielError(
      "data",
      `${where}: values of shape [${values.shape}] and indices of shape [${indices.shape}], ` +
        "expected one dimension of equal length",
    );
  }
  const stored = `${file.path}: "${indicesName}"`;
  const deltas = {
    indices: decodeIndices(indices.dtype, file.read(indicesName), stored),
    values: readFloats(file, valuesName),
  };
  return { ...sortDeltas(deltas, where), dtype: values.dtype as StoredDeltas["dtype"] };
}
