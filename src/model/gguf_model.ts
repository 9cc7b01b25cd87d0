/** Opens a GGUF file as a model with Hugging Face tensor names and row order. */
import type { ModelConfig, WeightFormat } from "../engine/protocol.gen.ts";
import { ggufSpecialTokenIds, type SpecialTokenIds } from "../data/special_tokens.ts";
import type { TokenizerParts } from "../data/tokenizer.ts";
import { readGgufTokenizer } from "../data/tokenizer_gguf.ts";
import { SpielError } from "../errors.ts";
import { GgufFile } from "../io/gguf.ts";
import {
  type GgufArchitecture,
  ggufArchitectureOf,
  toHuggingFaceConfig,
} from "./architectures/mod.ts";
import { huggingFaceName } from "./gguf_names.ts";
import { isNorm, withoutOne } from "./gguf_norms.ts";
import { isRotaryProjection, withHalvesApart } from "./gguf_rows.ts";
import { ROPE_FACTORS_TENSOR } from "./rope.ts";
import type { ModelSource } from "./source.ts";
import { checkRange, unstack, type Unstacked } from "./stacks.ts";
import { matchTensors, type ModelTensor } from "./tensors.ts";

/** The types whose blocks the engine reads. */
const FORMATS: ReadonlyMap<string, WeightFormat> = new Map([
  ["F32", "f32"],
  ["F16", "f16"],
  ["BF16", "bf16"],
  ["Q4_0", "q4_0"],
  ["Q4_1", "q4_1"],
  ["Q5_0", "q5_0"],
  ["Q5_1", "q5_1"],
  ["Q8_0", "q8_0"],
  ["Q2_K", "q2_k"],
  ["Q3_K", "q3_k"],
  ["Q4_K", "q4_k"],
  ["Q5_K", "q5_k"],
  ["Q6_K", "q6_k"],
]);

/** Opens the file or parts; see `openModelSource`. */
export function openGgufModel(path: string): ModelSource {
  const file = GgufFile.open(path);
  try {
    return new GgufModel(path, file);
  } catch (error) {
    file[Symbol.dispose]();
    throw error;
  }
}

/** What a GGUF file says of its model, whatever its weights are stored as. */
interface GgufConfig {
  modelType: string;
  config: ModelConfig;
  specialTokens: SpecialTokenIds;
  gguf: GgufArchitecture;
}

/**
 * Reads a file's model without its weights.
 *
 * @throws {SpielError} kind "data" naming the key, its value and what was expected.
 */
export function readGgufConfig(path: string): Omit<GgufConfig, "gguf"> {
  using file = GgufFile.open(path);
  const { modelType, config, specialTokens } = configOf(file);
  return { modelType, config, specialTokens };
}

function configOf(file: GgufFile): GgufConfig {
  const name = file.metadata.get("general.architecture");
  const { architecture: { modelType }, gguf } = ggufArchitectureOf(name, file.path);
  const config = gguf.read(file);
  return { modelType, config, specialTokens: ggufSpecialTokenIds(file), gguf };
}

class GgufModel implements ModelSource {
  readonly modelType: string;
  readonly config: ModelConfig;
  readonly specialTokens: SpecialTokenIds;
  readonly tensors: ReadonlyMap<string, ModelTensor>;
  readonly #file: GgufFile;
  readonly #ggufNames: ReadonlyMap<string, string>;
  readonly #gguf: GgufArchitecture;
  readonly #place: Unstacked["place"];
  /** Rows as they are stored, before they are put in order. */
  #rows = new Uint8Array(0);

  constructor(readonly path: string, file: GgufFile) {
    this.#file = file;
    const { modelType, config, specialTokens, gguf } = configOf(file);
    this.modelType = modelType;
    this.config = config;
    this.specialTokens = specialTokens;
    this.#gguf = gguf;
    this.#ggufNames = nameTable(file, gguf);
    const found = foundTensors(file, this.#ggufNames);
    const { tensors, place } = unstack(found, gguf.stacks?.(config) ?? []);
    this.#place = place;
    this.tensors = matchTensors(file.path, config, tensors);
  }

  read(
    name: string,
    byteOffset: number,
    length: number,
    into?: Uint8Array<ArrayBuffer>,
  ): Uint8Array<ArrayBuffer> {
    const tensor = this.tensors.get(name);
    const { stored, byteOffset: start } = this.#place(name);
    const ggufName = this.#ggufNames.get(stored);
    if (tensor === undefined || ggufName === undefined) {
      throw new SpielError("data", `${this.path} has no tensor "${name}"`);
    }
    checkRange(this.path, name, tensor, byteOffset, length);
    if (this.#gguf.addsOneToNorms && isNorm(name)) {
      return this.#readOffsets(ggufName, tensor, byteOffset, length);
    }
    return this.#gguf.interleavesHeads && isRotaryProjection(name) && length > 0
      ? this.#readInterleaved(ggufName, tensor, byteOffset, length, into)
      : this.#file.readRange(ggufName, start + byteOffset, length, into);
  }

  tokenizerParts(): TokenizerParts {
    return readGgufTokenizer(this.#file);
  }

  huggingFaceConfig(): Record<string, unknown> {
    return toHuggingFaceConfig(this.modelType, this.config, this.specialTokens);
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }

  /** Reads a range of a norm's weights without the one that was added to them. */
  #readOffsets(
    ggufName: string,
    { format }: ModelTensor,
    byteOffset: number,
    length: number,
  ): Uint8Array<ArrayBuffer> {
    if (format !== "f32") {
      throw new SpielError("data", `${this.path}: tensor "${ggufName}" is ${format}; expected F32`);
    }
    const start = byteOffset - byteOffset % 4;
    const end = Math.ceil((byteOffset + length) / 4) * 4;
    const weights = withoutOne(this.#file.readRange(ggufName, start, end - start));
    return weights.slice(byteOffset - start, byteOffset - start + length);
  }

  /** Reads a range of a tensor whose rows alternate between the two halves of each head. */
  #readInterleaved(
    ggufName: string,
    tensor: ModelTensor,
    byteOffset: number,
    length: number,
    into?: Uint8Array<ArrayBuffer>,
  ): Uint8Array<ArrayBuffer> {
    const rowBytes = tensor.byteLength / tensor.shape[0]!;
    const headBytes = rowBytes * this.config.head_dim;
    const start = Math.floor(byteOffset / headBytes) * headBytes;
    const end = Math.ceil((byteOffset + length) / headBytes) * headBytes;
    if (this.#rows.length < end - start) this.#rows = new Uint8Array(end - start);
    const stored = this.#file.readRange(ggufName, start, end - start, this.#rows);
    const isWhole = end - start === length;
    const ordered = withHalvesApart(
      stored,
      rowBytes,
      this.config.head_dim,
      isWhole ? into?.subarray(0, length) : undefined,
    );
    return isWhole ? ordered : ordered.slice(byteOffset - start, byteOffset - start + length);
  }
}

/** GGUF names by Hugging Face name; a tensor that has none keeps its own, to be named in an error. */
function nameTable(file: GgufFile, { names: own }: GgufArchitecture): Map<string, string> {
  const names = new Map<string, string>();
  for (const ggufName of file.tensors.keys()) {
    // Read into the configuration already.
    if (ggufName === ROPE_FACTORS_TENSOR) continue;
    names.set(huggingFaceName(ggufName, own) ?? ggufName, ggufName);
  }
  return names;
}

function foundTensors(file: GgufFile, ggufNames: ReadonlyMap<string, string>) {
  const found = new Map<string, ModelTensor | { unusable: string }>();
  for (const [name, ggufName] of ggufNames) {
    const { type, shape, byteLength } = file.tensors.get(ggufName)!;
    const format = FORMATS.get(type.name);
    found.set(
      name,
      format === undefined
        ? {
          unusable: `is stored as ${type.name}; expected one of ${[...FORMATS.keys()].join(", ")}`,
        }
        : { format, shape, byteLength },
    );
  }
  return found;
}
