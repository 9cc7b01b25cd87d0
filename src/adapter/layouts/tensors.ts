/** Tensors of adapter files by module and field. */

import { SpielError } from "../../errors.ts";
import { indexOfNonFinite } from "../../io/finite.ts";
import type { TensorFile } from "../../io/tensor_file.ts";
import { decodeValues } from "../deltas.ts";

const PREFIX = "base_model.model.";

/** The name of a module's tensor in an adapter file. */
export function tensorName(module: string, field: string): string {
  return `${PREFIX}${module}.${field}`;
}

/**
 * The modules of a file and the fields that each has, in name order.
 *
 * @param fields All that the layout knows.
 * @throws {SpielError} "data" for a tensor of another name.
 */
export function modulesOf(
  file: TensorFile,
  fields: readonly string[],
): Map<string, ReadonlySet<string>> {
  const modules = new Map<string, Set<string>>();
  for (const name of [...file.tensors.keys()].sort()) {
    const field = fields.find((one) => name.endsWith(`.${one}`));
    const module = name.slice(PREFIX.length, -1 - (field?.length ?? 0));
    if (field === undefined || module === "" || !name.startsWith(PREFIX)) {
      throw new SpielError(
        "data",
        `${file.path}: tensor "${name}", expected only names such as ` +
          `"${tensorName("<module>", fields[0] ?? "")}"`,
      );
    }
    modules.set(module, (modules.get(module) ?? new Set()).add(field));
  }
  return new Map([...modules].sort(([a], [b]) => a < b ? -1 : 1));
}

/**
 * Reads a tensor as finite f32 numbers.
 *
 * @throws {SpielError} "data" for another dtype, or a value that is not finite.
 */
export function readFloats(file: TensorFile, name: string): Float32Array<ArrayBuffer> {
  const where = `${file.path}: "${name}"`;
  const values = decodeValues(file.entry(name).dtype, file.read(name), where);
  const slot = indexOfNonFinite("F32", values);
  if (slot < 0) return values;
  throw new SpielError("data", `${where}: the value in slot ${slot} is not finite`);
}

/**
 * Reads a matrix of finite numbers.
 *
 * @param expected Its shape, as far as it is known.
 * @throws {SpielError} "data" for another shape or what `readFloats` refuses.
 */
export function readMatrix(
  file: TensorFile,
  name: string,
  [rows, columns]: readonly [number | null, number | null] = [null, null],
): { readonly rows: number; readonly columns: number; readonly values: Float32Array } {
  const { shape } = file.entry(name);
  const [found = 0, wide = 0] = shape;
  if (shape.length !== 2 || found !== (rows ?? found) || wide !== (columns ?? wide)) {
    throw new SpielError(
      "data",
      `${file.path}: "${name}" has shape [${shape.join(", ")}], ` +
        `expected [${rows ?? "rows"}, ${columns ?? "columns"}]`,
    );
  }
  return { rows: found, columns: wide, values: readFloats(file, name) };
}
