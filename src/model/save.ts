/** Saves the engine's model as a Hugging Face folder: safetensors in shards, configuration and tokenizer. */

import { basename, dirname, join, resolve } from "node:path";
import { tokenizerFiles } from "../data/tokenizer.ts";
import type { Engine } from "../engine/engine.ts";
import type { TensorInfo } from "../engine/protocol.gen.ts";
import { SpielError } from "../errors.ts";
import { type Files, storageError } from "../io/files.ts";
import { indexOfNonFinite } from "../io/finite.ts";
import { type FileToPublish, publishFolder } from "../io/publish.ts";
import { isFile, readJsonObject } from "../io/random_access.ts";
import { kindOfPath } from "../io/recognise.ts";
import {
  safetensorsContent,
  safetensorsHeader,
  type SafetensorsPlan,
  type SafetensorsTensor,
} from "../io/safetensors_writer.ts";
import { elementsIn } from "../io/shape.ts";
import { isWithin } from "../io/within.ts";
import type { ModelSource } from "./source.ts";
import { tensorParts } from "./tensor_parts.ts";
import { tokenizerIfAny, tokenizerOf } from "./tokenizer.ts";

/** A number format of saved weights. */
export type SavedDtype = "f32" | "f16" | "bf16";

/** Each dtype's name in safetensors and in config.json, and its bytes. */
const DTYPES = {
  f32: { safetensors: "F32", torch: "float32", bytes: 4 },
  f16: { safetensors: "F16", torch: "float16", bytes: 2 },
  bf16: { safetensors: "BF16", torch: "bfloat16", bytes: 2 },
} as const;

/** The largest file that `save_pretrained` of transformers 4 writes before it makes shards. */
const MAX_SHARD_BYTES = 5e9;
const SINGLE_FILE = "model.safetensors";
const METADATA = { format: "pt" };

/** Files of a model folder that go along as they are. */
const COMPANIONS = [
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "tokenizer.model",
  "vocab.json",
  "merges.txt",
  "chat_template.jinja",
] as const;

/** What is saved, and how. */
export interface SaveModelOptions {
  /** How weights are stored. */
  readonly dtype: SavedDtype;
  /** Greatest bytes of weights in one file; when absent files are those of the source, or at most 5 GB of another. */
  readonly maxShardBytes?: number;
  /** Looks at the complete folder under its temporary name; what it throws keeps it from being saved. */
  readonly check?: ((folder: string) => Promise<void>) | undefined;
  /** Stops before the next tensor; nothing is then published. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Saves the model with its deltas added in f32 before they are rounded to `dtype`. The folder appears complete or not
 * at all; a model already there is replaced, unless it is the source.
 *
 * @param source Where configuration and tokenizer come from; a GGUF source gets them written in Hugging Face's form.
 * @param tensors The model's tensors, as `ModelPlan` gives them.
 * @returns Bytes of all weight files.
 * @throws {SpielError} `usage` when the source lies in `folder`, `data` when a weight is not finite in `dtype`, `storage` when the disk fails or `folder` holds other
 * things than a model, `interrupted` when the signal fires.
 */
export async function saveModel(
  files: Files,
  engine: Engine,
  source: ModelSource,
  tensors: readonly TensorInfo[],
  folder: string,
  options: SaveModelOptions,
): Promise<{ bytes: number }> {
  if (isWithin(source.path, folder)) {
    throw new SpielError(
      "usage",
      `Cannot save a model over "${source.path}", which it is made from; choose another folder`,
    );
  }
  const shards = shardsOf(engine, source, tensors, options);
  const contents: FileToPublish[] = [
    // First, so that what an interruption leaves is recognised as a model, however many shards it was to have.
    { name: "config.json", content: () => encodeConfig(configJson(source, options.dtype)) },
    ...companions(source),
    ...shards.map(({ name, tensors }) => ({
      name,
      content: () => safetensorsContent(tensors, { metadata: METADATA }),
    })),
  ];
  if (shards.some(({ name }) => name !== SINGLE_FILE)) {
    const index = indexOf(shards);
    contents.push({ name: "model.safetensors.index.json", content: () => encodeJson(index) });
  }
  const path = resolve(folder);
  try {
    await publishFolder(files, dirname(path), basename(path), contents, options.check);
  } catch (error) {
    throw storageError(`Cannot save model "${folder}"`, error);
  }
  return { bytes: shards.reduce((sum, { plan }) => sum + plan.size, 0) };
}

interface Shard {
  name: string;
  tensors: ReadonlyMap<string, SafetensorsTensor>;
  plan: SafetensorsPlan;
}

/** The files with what each holds: as in the source, or filled one after another in the order of the layers. */
function shardsOf(
  engine: Engine,
  source: ModelSource,
  tensors: readonly TensorInfo[],
  options: SaveModelOptions,
): Shard[] {
  const { safetensors } = DTYPES[options.dtype];
  const own = options.maxShardBytes === undefined ? shardsOfSource(source, tensors) : null;
  const groups = own ?? filledShards(tensors, options);
  return [...groups].map(([name, members]) => {
    const group = new Map(members.map((tensor): [string, SafetensorsTensor] => {
      const parts = () => savedParts(engine, tensor, options);
      return [tensor.name, { dtype: safetensors, shape: tensor.shape, parts }];
    }));
    return { name, tensors: group, plan: safetensorsHeader(group, METADATA) };
  });
}

/** The tensors by the file that they are of; null where files of the source hold them otherwise. */
function shardsOfSource(
  source: ModelSource,
  tensors: readonly TensorInfo[],
): Map<string, TensorInfo[]> | null {
  const shards = new Map<string, TensorInfo[]>();
  for (const tensor of tensors) {
    const shard = source.shardOf?.(tensor.name);
    if (shard === undefined) return null;
    shards.set(shard, [...shards.get(shard) ?? [], tensor]);
  }
  return shards;
}

function filledShards(
  tensors: readonly TensorInfo[],
  { dtype, maxShardBytes = MAX_SHARD_BYTES }: SaveModelOptions,
): Map<string, TensorInfo[]> {
  const groups: TensorInfo[][] = [];
  let room = 0;
  for (const tensor of tensors) {
    const size = elementsIn(tensor.shape) * DTYPES[dtype].bytes;
    if (groups.length === 0 || size > room) {
      groups.push([]);
      room = maxShardBytes;
    }
    groups.at(-1)?.push(tensor);
    room -= size;
  }
  return new Map(groups.map((group, index) => [shardName(index, groups.length), group]));
}

function shardName(index: number, count: number): string {
  if (count === 1) return SINGLE_FILE;
  const [number, total] = [index + 1, count].map((value) => String(value).padStart(5, "0"));
  return `model-${number}-of-${total}.safetensors`;
}

function indexOf(shards: readonly Shard[]): Record<string, unknown> {
  const payloads = shards.flatMap(({ plan }) => plan.payloads);
  return {
    metadata: { total_size: payloads.reduce((sum, { byteLength }) => sum + byteLength, 0) },
    weight_map: Object.fromEntries(
      shards.flatMap(({ name, plan }) => plan.payloads.map((tensor) => [tensor.name, name])),
    ),
  };
}

async function* savedParts(
  engine: Engine,
  tensor: TensorInfo,
  { dtype, signal }: SaveModelOptions,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  if (signal?.aborted) throw new SpielError("interrupted", "Stopped while saving the model");
  for await (const part of tensorParts(engine, tensor, dtype, true)) {
    if (indexOfNonFinite(DTYPES[dtype].safetensors, part) >= 0) {
      const remedy = dtype === "f16" ? "; bf16 and f32 hold larger numbers" : "";
      throw new SpielError(
        "data",
        `A weight of "${tensor.name}" is infinite or not a number in ${dtype}${remedy}`,
      );
    }
    yield part;
  }
}

function configJson(source: ModelSource, dtype: SavedDtype): Record<string, unknown> {
  const { quantization_config: _, ...config } = source.huggingFaceConfig();
  // transformers 5 writes `dtype`, earlier ones know `torch_dtype` only, and all read the latter.
  const key = "dtype" in config ? "dtype" : "torch_dtype";
  return { ...config, [key]: DTYPES[dtype].torch };
}

function companions(source: ModelSource): FileToPublish[] {
  const { bos, eos } = source.specialTokens;
  if (kindOfPath(source.path) === "gguf") {
    const { tokenizer, stopTokens } = tokenizerOf(source);
    const files = [...tokenizerFiles(tokenizer)].map(([name, text]) => ({
      name,
      content: () => new TextEncoder().encode(text),
    }));
    return [...files, generationConfig({ bos_token_id: bos }, stopTokens)];
  }
  const copied = (name: string) => ({
    name,
    content: () => Deno.readFileSync(join(source.path, name)),
  });
  const files = COMPANIONS.filter((name) => isFile(join(source.path, name))).map(copied);
  const path = join(source.path, GENERATION_CONFIG);
  const stops = tokenizerIfAny(source)?.stopTokens ?? eos;
  if (!isFile(path) && stops.length === eos.length) return files;
  const own = isFile(path) ? readJsonObject(path) : {};
  return [...files, generationConfig({ bos_token_id: bos, ...own }, stops)];
}

const GENERATION_CONFIG = "generation_config.json";

/**
 * The settings of generation, in which every token that ends an answer is named: other programs do not find in the chat
 * template that a turn has another end than a text.
 */
function generationConfig(
  settings: Record<string, unknown>,
  stops: readonly number[],
): FileToPublish {
  const config = { ...settings, eos_token_id: stops.length > 1 ? stops : stops[0] ?? null };
  return { name: GENERATION_CONFIG, content: () => encodeJson(config) };
}

/** Whole numbers that transformers 5 refuses where it expects a float, which JSON does not tell from an integer. */
const WHOLE_FLOAT = /("(?:attn|final)_logit_softcapping": \d+)(?=,?$)/gm;

function encodeConfig(config: Record<string, unknown>): Uint8Array {
  const text = new TextDecoder().decode(encodeJson(config));
  return new TextEncoder().encode(text.replaceAll(WHOLE_FLOAT, "$1.0"));
}

function encodeJson(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value, null, 2) + "\n");
}
