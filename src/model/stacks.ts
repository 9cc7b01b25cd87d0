/** Matrices that a file stores stacked in one tensor, seen as the parts that they are. */
import type { ModelConfig } from "../engine/protocol.gen.ts";
import { SpielError } from "../errors.ts";
import type { ModelTensor } from "./tensors.ts";

/** A stored tensor of every layer, and the matrices whose rows it holds one after the other. */
export interface Stack {
  /** Its name inside a layer, without `.weight`. */
  name: string;
  /** Names inside a layer, without `.weight`, and numbers of rows. */
  parts: readonly (readonly [name: string, rows: number])[];
}

/** A tensor that is there, or why it cannot be used. */
type Found = ModelTensor | { unusable: string };

/** Tensors with stacks taken apart. */
export interface Unstacked {
  tensors: Map<string, Found>;
  /** Where the stored bytes of a part begin: the tensor that it is stored in, and the position in that. */
  place(name: string): { stored: string; byteOffset: number };
}

/** Fused queries, keys and values, and fused gate and up projection, named so. */
export function fusedProjections(config: ModelConfig, qkv: string, gateUp: string): Stack[] {
  const queries = config.num_attention_heads * config.head_dim;
  const keys = config.num_key_value_heads * config.head_dim;
  const feed = config.intermediate_size;
  return [
    {
      name: qkv,
      parts: [
        ["self_attn.q_proj", queries],
        ["self_attn.k_proj", keys],
        ["self_attn.v_proj", keys],
      ],
    },
    { name: gateUp, parts: [["mlp.gate_proj", feed], ["mlp.up_proj", feed]] },
  ];
}

/**
 * Takes stacks apart. Rows are whole packed blocks, so that each part is a range of the stored bytes. A tensor whose
 * rows are not those of its parts stays as it is, to be named in an error.
 */
export function unstack(
  found: ReadonlyMap<string, Found>,
  stacks: readonly Stack[],
): Unstacked {
  const tensors = new Map(found);
  const places = new Map<string, { stored: string; byteOffset: number }>();
  for (const [stored, tensor] of found) {
    const [, layer, inLayer] = /^(model\.layers\.\d+\.)(.+)\.weight$/.exec(stored) ?? [];
    const stack = stacks.find(({ name }) => name === inLayer);
    if (stack === undefined) continue;
    const rows = stack.parts.reduce((sum, [, rows]) => sum + rows, 0);
    if (!("unusable" in tensor) && tensor.shape[0] !== rows) continue;
    tensors.delete(stored);
    let byteOffset = 0;
    for (const [part, rows] of stack.parts) {
      const name = `${layer}${part}.weight`;
      if ("unusable" in tensor) {
        tensors.set(name, tensor);
        continue;
      }
      const [all = 1, columns = 1] = tensor.shape;
      const byteLength = tensor.byteLength / all * rows;
      tensors.set(name, { ...tensor, shape: [rows, columns], byteLength });
      places.set(name, { stored, byteOffset });
      byteOffset += byteLength;
    }
  }
  return { tensors, place: (name) => places.get(name) ?? { stored: name, byteOffset: 0 } };
}

/**
 * Refuses a range that is not inside a tensor, which the file's own check does not see of a part.
 *
 * @throws {SpielError} kind "data".
 */
export function checkRange(
  where: string,
  name: string,
  { byteLength }: ModelTensor,
  byteOffset: number,
  length: number,
): void {
  if (byteOffset >= 0 && length >= 0 && byteOffset + length <= byteLength) return;
  throw new SpielError(
    "data",
    `${where}: cannot read ${length} bytes at ${byteOffset} of "${name}", which has ${byteLength} bytes`,
  );
}
