/** Opens the weights of a model folder, in one safetensors file or in shards listed by an index, as one set. */
import { SpielError } from "../errors.ts";
import { isFile, isObject, readJsonObject } from "./random_access.ts";
import { modelsInside } from "./recognise.ts";
import { MAX_HEADER_BYTES, type SafetensorsEntry, SafetensorsFile } from "./safetensors.ts";

const SINGLE_FILE = "model.safetensors";
const INDEX_FILE = "model.safetensors.index.json";
/** A plain file name: the index is a stranger's data and must not point outside its folder. */
const SHARD_NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]*\.safetensors$/;

/** The tensors of a folder, whichever file each lies in. */
export class SafetensorsFolder implements Disposable {
  /** The file that says which tensors there are: the only one, or the index. */
  readonly path: string;
  readonly #fileOf: Map<string, SafetensorsFile>;
  /** The open files, by file name. */
  readonly files: ReadonlyMap<string, SafetensorsFile>;

  private constructor(
    path: string,
    files: Map<string, SafetensorsFile>,
    fileOf: Map<string, SafetensorsFile>,
  ) {
    this.path = path;
    this.files = files;
    this.#fileOf = fileOf;
  }

  /**
   * Opens `model.safetensors`, or all shards of `model.safetensors.index.json`.
   *
   * @throws {SpielError} kind "data" when a file is missing or bad, or the index and the shards disagree.
   */
  static open(folder: string): SafetensorsFolder {
    const files = new Map<string, SafetensorsFile>();
    try {
      const isSingle = isFile(`${folder}/${SINGLE_FILE}`);
      const fileOf = isSingle ? openSingle(folder, files) : openShards(folder, files);
      const path = `${folder}/${isSingle ? SINGLE_FILE : INDEX_FILE}`;
      return new SafetensorsFolder(path, files, fileOf);
    } catch (error) {
      for (const file of files.values()) file[Symbol.dispose]();
      throw error;
    }
  }

  /** Names of all tensors. */
  names(): IterableIterator<string> {
    return this.#fileOf.keys();
  }

  /** The file that holds a tensor, or undefined when there is no such tensor. */
  fileOf(name: string): SafetensorsFile | undefined {
    return this.#fileOf.get(name);
  }

  /** The entry of a tensor, or undefined when there is no such tensor. */
  entry(name: string): SafetensorsEntry | undefined {
    return this.#fileOf.get(name)?.tensors.get(name);
  }

  [Symbol.dispose](): void {
    for (const file of this.files.values()) file[Symbol.dispose]();
  }
}

function openSingle(folder: string, files: Map<string, SafetensorsFile>) {
  const file = SafetensorsFile.open(`${folder}/${SINGLE_FILE}`);
  files.set(SINGLE_FILE, file);
  return new Map([...file.tensors.keys()].map((name) => [name, file]));
}

function openShards(folder: string, files: Map<string, SafetensorsFile>) {
  const indexPath = `${folder}/${INDEX_FILE}`;
  if (!isFile(indexPath)) throw noWeights(folder);
  const weightMap = readJsonObject(indexPath, MAX_HEADER_BYTES).weight_map;
  if (!isObject(weightMap)) {
    throw new SpielError("data", `${indexPath}: weight_map is not an object`);
  }

  const fileOf = new Map<string, SafetensorsFile>();
  for (const [name, shard] of Object.entries(weightMap)) {
    if (typeof shard !== "string" || !SHARD_NAME.test(shard)) {
      throw new SpielError(
        "data",
        `${indexPath}: tensor "${name}" is in ${JSON.stringify(shard)}; ` +
          `expected the plain name of a .safetensors file in the same folder`,
      );
    }
    let file = files.get(shard);
    if (file === undefined) {
      file = SafetensorsFile.open(`${folder}/${shard}`);
      files.set(shard, file);
    }
    if (!file.tensors.has(name)) {
      throw new SpielError(
        "data",
        `${indexPath} puts tensor "${name}" in ${shard}, which lacks it`,
      );
    }
    fileOf.set(name, file);
  }
  for (const [shard, file] of files) {
    for (const name of file.tensors.keys()) {
      if (fileOf.get(name) !== file) {
        throw new SpielError("data", `${indexPath} does not list tensor "${name}" of ${shard}`);
      }
    }
  }
  return fileOf;
}

function noWeights(folder: string): SpielError {
  const hasPickle = isFile(`${folder}/pytorch_model.bin`) ||
    isFile(`${folder}/pytorch_model.bin.index.json`);
  const meant = modelsInside(folder);
  return new SpielError(
    "data",
    `${folder} has neither ${SINGLE_FILE} nor ${INDEX_FILE}` +
      (hasPickle ? "; its .bin files are pickles, which can run code and are never opened" : "") +
      (meant === undefined ? "" : `; ${meant}`),
  );
}
