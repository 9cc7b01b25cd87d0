/** Tiny GGUF models split into parts, good or deliberately bad. */
import { buildGguf, type GgufField } from "./gguf_builder.ts";
import { ggufNames, interleaveRows, tinyConfig, tinyMetadata, tinyWeights } from "./tiny_model.ts";

/** The path of a part, counted from 0. */
export function splitPath(stem: string, index: number, count: number): string {
  const [which, all] = [index + 1, count].map((value) => String(value).padStart(5, "0"));
  return `${stem}-${which}-of-${all}.gguf`;
}

/** Metadata to set in a part, by its number from 0; null leaves it out. */
export type PartChanges = Readonly<Record<number, Readonly<Record<string, GgufField | null>>>>;

/** The bytes of each part of a llama model: all metadata in the first, as llama.cpp splits. */
export function splitGguf(count: number, changes: PartChanges = {}): Uint8Array[] {
  const config = tinyConfig("llama");
  const names = ggufNames(config.num_hidden_layers);
  const tensors = [...tinyWeights(config)].map(([name, { shape, data }]) => {
    const bytes = new Uint8Array(data.buffer as ArrayBuffer);
    return {
      name: names.get(name)!,
      dimensions: [...shape].reverse(),
      type: 0,
      data: /[qk]_proj/.test(name) ? interleaveRows(bytes, shape[0]!, config.head_dim) : bytes,
    };
  });
  const share = Math.ceil(tensors.length / count);
  return Array.from({ length: count }, (_, index) => {
    const metadata = new Map<string, GgufField>([
      ...(index === 0 ? tinyMetadata("llama", config) : []),
      ["split.no", { type: "u32", value: index }],
      ["split.count", { type: "u32", value: count }],
      ["split.tensors.count", { type: "u32", value: tensors.length }],
    ]);
    for (const [key, field] of Object.entries(changes[index] ?? {})) {
      if (field === null) metadata.delete(key);
      else metadata.set(key, field);
    }
    const own = tensors.slice(index * share, (index + 1) * share);
    return buildGguf({ metadata: [...metadata], tensors: own });
  });
}
