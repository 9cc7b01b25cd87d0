/** Saves an engine's model as a GGUF file, with a Modelfile beside it by which Ollama runs it. */

import { basename, dirname, resolve } from "node:path";
import type { Engine } from "../engine/engine.ts";
import type { TensorInfo } from "../engine/protocol.gen.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import { readAddedTokens } from "../data/tokenizer_added.ts";
import { SpielError } from "../errors.ts";
import { type Files, storageError } from "../io/files.ts";
import { GgufFile } from "../io/gguf.ts";
import { ggufContent, type GgufField, ggufTensorBytes } from "../io/gguf_writer.ts";
import { publishFolder } from "../io/publish.ts";
import { kindOfPath } from "../io/recognise.ts";
import { architectureOf } from "../model/architectures/mod.ts";
import { decoderToGguf } from "../model/architectures/decoder.ts";
import { isQuantized } from "../model/formats.ts";
import type { ModelSource } from "../model/source.ts";
import { tokenizerOf } from "../model/tokenizer.ts";
import { ggufTensors } from "./gguf_tensors.ts";
import { tokenizerFields } from "./gguf_tokenizer.ts";
import { fileTypeOf, type GgufType } from "./gguf_types.ts";
import { modelfile } from "./modelfile.ts";

/** What is saved, and how. */
export interface SaveGgufOptions {
  /** What the model is stored as. */
  readonly type: GgufType;
  /** Looks at the complete folder under its temporary name; what it throws keeps it from being saved. */
  readonly check?: ((folder: string) => Promise<void>) | undefined;
  /** Stops before the next tensor; nothing is then saved. */
  readonly signal?: AbortSignal | undefined;
}

/** Of how ggml's blocks are laid out. */
const QUANTIZATION_VERSION = 2;

/** The name of a GGUF file in the folder that is saved. */
export function ggufFileName(type: GgufType): string {
  return `model-${type}.gguf`;
}

/**
 * Saves the model with its deltas added in f32 before they are rounded to `type`, tensor after tensor. The folder
 * appears complete or not at all.
 *
 * @param source Where configuration and tokenizer come from.
 * @param tensors The model's tensors, as `ModelPlan` gives them.
 * @returns Bytes of all tensors.
 * @throws {SpielError} `data` when GGUF has no words for the tokenizer or a weight is not finite, `storage` when the disk
 * fails, `interrupted` when the signal fires.
 */
export async function saveGguf(
  files: Files,
  engine: Engine,
  source: ModelSource,
  tensors: readonly TensorInfo[],
  folder: string,
  { type, check, signal }: SaveGgufOptions,
): Promise<{ bytes: number }> {
  const { config, modelType } = source;
  const { gguf } = architectureOf(modelType, source.path);
  const model = tokenizerOf(source);
  const metadata = new Map<string, GgufField>([
    ...generalFields(gguf.name, nameOf(source, model.tokenizer), type),
    ...decoderToGguf(gguf.name, config),
    ...Object.entries(gguf.metadata?.(config) ?? {}).map(([key, field]) =>
      [`${gguf.name}.${key}`, field] as const
    ),
    ...tokenizerFields(source, model),
  ]);
  const stored = ggufTensors(engine, tensors, { type, config, gguf, signal });
  const name = ggufFileName(type);
  const path = resolve(folder);
  try {
    await publishFolder(files, dirname(path), basename(path), [
      { name, content: () => ggufContent(metadata, stored) },
      { name: "Modelfile", content: () => new TextEncoder().encode(modelfile(name, model)) },
    ], check);
  } catch (error) {
    throw storageError(`Cannot save model "${folder}"`, error);
  }
  return { bytes: stored.reduce((sum, tensor) => sum + ggufTensorBytes(tensor), 0) };
}

function generalFields(
  architecture: string,
  name: string,
  type: GgufType,
): [string, GgufField][] {
  return [
    ["general.architecture", { type: "string", value: architecture }],
    ["general.type", { type: "string", value: "model" }],
    ["general.name", { type: "string", value: name }],
    ["general.file_type", { type: "u32", value: fileTypeOf(type) }],
    ...(isQuantized(type)
      ? [[
        "general.quantization_version",
        { type: "u32", value: QUANTIZATION_VERSION },
      ] as [string, GgufField]]
      : []),
  ];
}

/** Tokens of Phi-3 that do not take the white space behind them, and one that does: programs look all of them up. */
const PHI3_PLAIN = ["<unk>", "<s>", "<|endoftext|>"];
const PHI3_TOKENS = [...PHI3_PLAIN, "</s>"];

/**
 * The name of a base, or of its folder. By a Phi-3 model's name programs know that the tokens of its turns take the white
 * space behind them, and expect its vocabulary.
 *
 * @throws {SpielError} `data` for tokens of another vocabulary that take white space around them, which GGUF cannot say.
 */
function nameOf({ path }: ModelSource, { parts }: Tokenizer): string {
  if (kindOfPath(path) === "gguf") return nameInFile(path);
  const name = basename(resolve(path));
  const added = readAddedTokens(parts.json.added_tokens, parts.where);
  const isPhi3 = PHI3_TOKENS.every((text) => added.some(({ content }) => content === text)) &&
    added.every(({ content, rstrip }) => rstrip !== PHI3_PLAIN.includes(content));
  if (isPhi3) return /phi-?3/i.test(name) ? name : `Phi-3 ${name}`;
  const greedy = added.find(({ rstrip, lstrip }) => rstrip && !lstrip);
  if (greedy === undefined) return name.replaceAll(/phi-?3/gi, "Phi 3");
  throw new SpielError(
    "data",
    `${parts.where}: the token "${greedy.content}" takes the white space behind it, which GGUF cannot say`,
  );
}

function nameInFile(path: string): string {
  using file = GgufFile.open(path);
  return file.string("general.name") ?? basename(path, ".gguf");
}
