/** Reads a dict of tensors as `torch.save` writes it: a zip archive with a pickle and the tensors' bytes. */
import { SpielError } from "../errors.ts";
import { type PickleValue, readPickle } from "./pickle.ts";
import { RandomAccessFile } from "./random_access.ts";
import { DTYPE_BYTES, type SafetensorsDtype } from "./safetensors.ts";
import { elementsIn } from "./shape.ts";
import type { TensorFile } from "./tensor_file.ts";
import { readZipDirectory, type ZipEntry } from "./zip.ts";

const MAX_PICKLE_BYTES = 2 << 20;
const PICKLE = "data.pkl";

/** A kind of storage, named in the pickle. */
class StorageType {
  constructor(readonly dtype: SafetensorsDtype) {}
}

/** A run of elements in the archive. */
class Storage {
  constructor(readonly dtype: SafetensorsDtype, readonly key: string, readonly elements: number) {}
}

/** A view of a storage. */
class Tensor {
  constructor(readonly storage: Storage, readonly offset: number, readonly shape: number[]) {}
}

const GLOBALS: ReadonlyMap<string, PickleValue> = new Map<string, PickleValue>([
  ["collections.OrderedDict", () => new Map()],
  ["torch._utils._rebuild_tensor_v2", rebuildTensor],
  ["torch._utils._rebuild_parameter", (tensor: PickleValue) => tensor],
  ["torch.FloatStorage", new StorageType("F32")],
  ["torch.HalfStorage", new StorageType("F16")],
  ["torch.BFloat16Storage", new StorageType("BF16")],
  ["torch.DoubleStorage", new StorageType("F64")],
  ["torch.IntStorage", new StorageType("I32")],
  ["torch.LongStorage", new StorageType("I64")],
]);

/** An open file. */
export class TorchFile implements TensorFile {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, { dtype: SafetensorsDtype; shape: number[]; at: number }>;
  readonly #file: RandomAccessFile;

  private constructor(file: RandomAccessFile) {
    this.path = file.path;
    this.#file = file;
    this.tensors = readTensors(file);
  }

  /**
   * Opens a file and checks all but the tensors' elements.
   *
   * @throws {SpielError} kind "data" naming the file, the entry or tensor, and what was expected.
   */
  static open(path: string): TorchFile {
    const file = RandomAccessFile.open(path);
    try {
      return new TorchFile(file);
    } catch (error) {
      file[Symbol.dispose]();
      throw error;
    }
  }

  entry(name: string): { dtype: SafetensorsDtype; shape: number[]; at: number } {
    const entry = this.tensors.get(name);
    if (entry === undefined) throw new SpielError("data", `${this.path} has no tensor "${name}"`);
    return entry;
  }

  read(name: string): Uint8Array<ArrayBuffer> {
    const { dtype, shape, at } = this.entry(name);
    return this.#file.read(at, elementsIn(shape) * DTYPE_BYTES[dtype]);
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }
}

function readTensors(file: RandomAccessFile): TorchFile["tensors"] {
  const fail = (reason: string) => new SpielError("data", `${file.path}: ${reason}`);
  const entries = readZipDirectory(file);
  const pickle = [...entries.keys()].find((name) => name === PICKLE || name.endsWith(`/${PICKLE}`));
  if (pickle === undefined) throw fail(`the archive has no ${PICKLE}, which torch.save writes`);
  const { byteOffset, byteLength } = entries.get(pickle)!;
  if (byteLength > MAX_PICKLE_BYTES) {
    throw fail(`"${pickle}" has ${byteLength} bytes; expected at most ${MAX_PICKLE_BYTES}`);
  }
  const folder = pickle.slice(0, -PICKLE.length);
  const order = entries.get(`${folder}byteorder`);
  if (order !== undefined && order.byteLength !== "little".length) {
    throw fail(`"${folder}byteorder" does not say little`);
  }
  const bytes = file.read(byteOffset, byteLength);
  const where = `${file.path}: "${pickle}"`;
  const dict = readPickle(bytes, { globals: GLOBALS, persistent: storageOf }, where);
  if (!(dict instanceof Map)) throw fail(`"${pickle}" holds no dict of tensors`);
  const tensors = new Map<string, { dtype: SafetensorsDtype; shape: number[]; at: number }>();
  let total = 0;
  for (const [name, value] of dict) {
    if (typeof name !== "string" || !(value instanceof Tensor)) {
      const what = typeof name === "string" ? `"${name}"` : "a key that is no text";
      throw fail(`"${pickle}" has ${what}, expected names of tensors only`);
    }
    const { storage, offset, shape } = value;
    const size = DTYPE_BYTES[storage.dtype];
    const entry = storageEntry(entries, `${folder}data/${storage.key}`, storage, fail);
    total += elementsIn(shape) * size;
    if (total > file.size) throw fail(`the tensors up to "${name}" are larger than the file`);
    tensors.set(name, { dtype: storage.dtype, shape, at: entry.byteOffset + offset * size });
  }
  return tensors;
}

function storageEntry(
  entries: ReadonlyMap<string, ZipEntry>,
  name: string,
  { dtype, elements }: Storage,
  fail: (reason: string) => SpielError,
): ZipEntry {
  const entry = entries.get(name);
  if (entry === undefined) throw fail(`the archive has no "${name}"`);
  const expected = elements * DTYPE_BYTES[dtype];
  if (entry.byteLength === expected) return entry;
  throw fail(
    `"${name}" has ${entry.byteLength} bytes; expected ${expected} for ${elements} ${dtype}`,
  );
}

/** `("storage", type, key, device, elements)`. */
function storageOf(id: PickleValue): Storage {
  const [kind, type, key, , elements] = Array.isArray(id) ? id : [];
  if (kind === "storage" && type instanceof StorageType && typeof key === "string") {
    if (isCount(elements)) return new Storage(type.dtype, key, elements);
  }
  throw new RangeError("a reference to something else than a tensor's bytes");
}

function rebuildTensor(
  storage: PickleValue,
  offset: PickleValue,
  shape: PickleValue,
  strides: PickleValue,
): Tensor {
  const isPlain = storage instanceof Storage && isCount(offset) &&
    Array.isArray(shape) && shape.every(isCount) && Array.isArray(strides) &&
    strides.every(isCount);
  if (!isPlain) {
    throw new RangeError("a tensor of other parts than bytes, offset, shape and strides");
  }
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== stride && !shape.includes(0)) {
      throw new RangeError(
        `a tensor of shape [${shape}] with strides [${strides}]; expected its rows in order`,
      );
    }
    stride *= shape[axis]!;
  }
  if (offset + stride > storage.elements) {
    throw new RangeError(
      `a tensor of shape [${shape}] at ${offset} of ${storage.elements} stored elements`,
    );
  }
  return new Tensor(storage, offset, [...shape]);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
