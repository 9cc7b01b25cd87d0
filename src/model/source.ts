/** A base model on disk: its configuration and its weights by range, whatever the files look like. */
import { createHash } from "node:crypto";
import { SpielError } from "../errors.ts";
import type { ModelConfig } from "../engine/protocol.gen.ts";
import type { SpecialTokenIds } from "../data/special_tokens.ts";
import type { TokenizerParts } from "../data/tokenizer.ts";
import { meantInstead } from "../io/nearest_path.ts";
import { kindOfPath, mistakenForModel } from "../io/recognise.ts";
import { openGgufModel } from "./gguf_model.ts";
import { openHuggingFaceFolder } from "./hf_folder.ts";
import type { ModelTensor } from "./tensors.ts";
import {
  lacksWeights,
  openFolderToPlan,
  openFolderWithoutWeights,
  openGgufWithoutWeights,
} from "./weightless.ts";

export type { ModelTensor } from "./tensors.ts";

/** An open model. Tensors have Hugging Face names and orientation. */
export interface ModelSource extends Disposable {
  /** The folder or file. */
  readonly path: string;
  /** `model_type` of its architecture. */
  readonly modelType: string;
  /** The architecture's numbers. */
  readonly config: ModelConfig;
  /** Tokens that begin and end a text. */
  readonly specialTokens: SpecialTokenIds;
  /** Exactly the tensors that `config` asks for, in the order of the forward pass. */
  readonly tensors: ReadonlyMap<string, ModelTensor>;
  /**
   * Reads stored bytes of a tensor: rows of whole blocks, [out, in] row-major.
   *
   * @param into A buffer of at least `length` bytes, in which they are returned unless they have to be put in order.
   * @throws {SpielError} kind "data" when the range is not inside the tensor.
   */
  read(
    name: string,
    byteOffset: number,
    length: number,
    into?: Uint8Array<ArrayBuffer>,
  ): Uint8Array<ArrayBuffer>;
  /** The model's config.json: the file's own, or one written from `config`. */
  huggingFaceConfig(): Record<string, unknown>;
  /**
   * The tokenizer that the open file has; absent for models that have it in files of its own.
   *
   * @throws {SpielError} kind "data" when it is not supported.
   */
  tokenizerParts?(): TokenizerParts;
  /** The safetensors file that a tensor lies in by itself; absent for models of other files. */
  shardOf?(name: string): string | undefined;
}

/** A URL, or a name such as `HuggingFaceTB/SmolLM2-135M`, by which other programs download a model. */
const REMOTE = /^[a-z]+:\/\/|^[\w-][\w.-]*\/[\w.-]+$/;

/**
 * Opens a Hugging Face folder or a .gguf file, or any part or the folder of a split one, and checks that it holds a
 * complete, supported model.
 *
 * @throws {SpielError} kind "data" naming the file, the field or tensor, and what was expected.
 */
export function openModelSource(path: string): ModelSource {
  return formOf(path) === "gguf" ? openGgufModel(path) : openHuggingFaceFolder(path);
}

/**
 * Opens a model whose weights are still to be made up, from a folder with config.json or from a .gguf file: every
 * tensor is f32 and none can be read.
 *
 * @throws {SpielError} kind "data" naming the file, the field, its value and what was expected.
 */
export function openWithoutWeights(path: string): ModelSource {
  return formOf(path) === "gguf" ? openGgufWithoutWeights(path) : openFolderWithoutWeights(path);
}

/** A model that memory can be planned for. */
export interface PlannableModel {
  /** Its configuration and tensors, whose weights may not be there to be read. */
  readonly source: ModelSource;
  /** What has been taken for granted, in a sentence; `null` where the weights are there. */
  readonly assumption: string | null;
}

/**
 * Opens a model to plan with; no weights are read. A folder may lack them: its config.json tells their type.
 *
 * @throws {SpielError} kind "data" naming the file, the field or tensor, and what was expected.
 */
export function openModelToPlan(path: string): PlannableModel {
  if (formOf(path) === "gguf" || !lacksWeights(path)) {
    return { source: openModelSource(path), assumption: null };
  }
  const { source, formats } = openFolderToPlan(path);
  const assumption =
    `${path} has no weights yet; they are planned as ${formats}, by its config.json`;
  return { source, assumption };
}

/** In which form a model is. What is known to be something else is refused by name. */
function formOf(path: string): "gguf" | "folder" {
  const fail = (reason: string) => new SpielError("data", `Model "${path}" ${reason}`);
  const kind = kindOfPath(path);
  if (kind === "gguf") return "gguf";
  const mistaken = mistakenForModel(path);
  if (mistaken !== undefined) throw fail(mistaken);
  if (kind === "model") return "folder";
  if (kind !== "nothing") {
    throw fail(
      "is neither a folder nor a .gguf file; for safetensors name the folder with config.json",
    );
  }
  const hint = REMOTE.test(path)
    ? "; one of the hub is named as org/name, or hf:org/name"
    : meantInstead(path);
  throw fail(`does not exist; expected a Hugging Face folder or a .gguf file${hint}`);
}

/** Up to this much, every byte counts towards the identity. */
const WHOLE_BYTES = 256 * 1024 * 1024;
const HASH_CHUNK_BYTES = 1024 * 1024;
const SAMPLES = 16;
const SAMPLE_BYTES = 4096;
/** Milliseconds of hashing at a stretch. */
const TURN_MS = 50;

/**
 * SHA-256 (hex) of what the model computes with: configuration, and names, formats, shapes and bytes of its
 * tensors in Hugging Face orientation, so that sharding or renaming files changes nothing. Of a model over
 * 256 MiB, 16 evenly spaced samples of 4 KiB stand for each tensor.
 */
export async function modelIdentity(source: ModelSource): Promise<string> {
  const names = [...source.tensors.keys()].sort();
  const config = Object.entries(source.config).sort(([a], [b]) => a < b ? -1 : 1);
  const hash = createHash("sha256");
  hash.update(JSON.stringify([source.modelType, config]));
  const total = names.reduce((sum, name) => sum + source.tensors.get(name)!.byteLength, 0);
  const buffer = new Uint8Array(HASH_CHUNK_BYTES);
  let turn = performance.now();
  for (const name of names) {
    const { format, shape, byteLength } = source.tensors.get(name)!;
    hash.update(JSON.stringify([name, format, shape]));
    for (const [offset, length] of hashedRanges(byteLength, total <= WHOLE_BYTES)) {
      hash.update(source.read(name, offset, length, buffer));
    }
    if (performance.now() < turn + TURN_MS) continue;
    // Lets timers and signals run; a timer takes a millisecond, longer than most tensors.
    await new Promise((resolve) => setTimeout(resolve, 0));
    turn = performance.now();
  }
  return hash.digest("hex");
}

function* hashedRanges(byteLength: number, whole: boolean): Generator<[number, number]> {
  if (whole || byteLength <= SAMPLES * SAMPLE_BYTES) {
    for (let at = 0; at < byteLength; at += HASH_CHUNK_BYTES) {
      yield [at, Math.min(HASH_CHUNK_BYTES, byteLength - at)];
    }
    return;
  }
  const stride = (byteLength - SAMPLE_BYTES) / (SAMPLES - 1);
  for (let i = 0; i < SAMPLES; i++) yield [Math.floor(i * stride), SAMPLE_BYTES];
}
