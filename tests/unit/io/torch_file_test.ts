/** Files of torch.save: tensors are read, and whatever else a pickle or an archive may hold is refused by name. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { TorchFile } from "../../../src/io/torch_file.ts";
import type { TensorData } from "../../support/encode_safetensors.ts";
import { encodeTorch, encodeZip, pickleOf, PickleWriter } from "../../support/encode_torch.ts";
import { withTempDir } from "../../support/temp_dir.ts";

const MANY = 300;

/** Tensors of every dtype, and so many that the memo's slots pass a byte. */
const TENSORS = new Map<string, TensorData>([
  ["f32", { dtype: "F32", shape: [2, 3], data: Float32Array.of(1, -2, 3.5, 0, 1e-30, 6) }],
  ["f16", { dtype: "F16", shape: [2], data: new Float16Array([0.5, 65504]) }],
  ["bf16", { dtype: "BF16", shape: [1], data: Uint16Array.of(0x3f80) }],
  ["f64", { dtype: "F64", shape: [], data: Float64Array.of(Math.PI) }],
  ["i32", { dtype: "I32", shape: [3], data: Int32Array.of(1, -1, 7) }],
  ["i64", { dtype: "I64", shape: [1], data: BigInt64Array.of(-5n) }],
  ["none", { dtype: "F32", shape: [0], data: new Float32Array() }],
  ...Array.from({ length: MANY }, (_, index): [string, TensorData] => [
    `many.${index}`,
    { dtype: "F32", shape: [1, 1, 1], data: Float32Array.of(index) },
  ]),
]);

Deno.test("tensors of torch.save are read with their dtypes and shapes", () =>
  withTempDir((dir) => {
    const path = join(dir, "a.bin");
    Deno.writeFileSync(path, encodeTorch(TENSORS));
    using file = TorchFile.open(path);
    assert.deepEqual([...file.tensors.keys()], [...TENSORS.keys()]);
    for (const [name, { dtype, shape, data }] of TENSORS) {
      const entry = file.entry(name);
      assert.deepEqual([entry.dtype, entry.shape], [dtype, shape]);
      assert.deepEqual(
        file.read(name),
        new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
      );
    }
    assert.throws(() => file.entry("nothing"), { kind: "data", message: /no tensor "nothing"/ });
  }));

const ONE = new Map([["one", TENSORS.get("f32")!]]);
const DATA = new Uint8Array(24);
const PKL = "m/data.pkl";

function archive(pickle: PickleWriter | Uint8Array, storage: Uint8Array = DATA) {
  const bytes = pickle instanceof PickleWriter ? pickle.bytes() : pickle;
  return encodeZip([{ name: PKL, bytes }, { name: "m/data/0", bytes: storage }]);
}

const start = () => new PickleWriter().raw(0x80, 2);

/** A tensor of the one storage. */
function tensor(offset: number, shape: number[], strides: number[], elements = 6): PickleWriter {
  return start().raw(0x7d).text("t").global("torch._utils", "_rebuild_tensor_v2").raw(0x28, 0x28)
    .text("storage").global("torch", "FloatStorage").text("0").text("cpu").number(elements)
    .raw(0x74, 0x51).number(offset).tuple(shape).tuple(strides).raw(0x89, 0x4e, 0x74, 0x52, 0x73)
    .raw(0x2e);
}

/** One opcode again and again. */
const repeated = (count: number, ...bytes: number[]) =>
  Uint8Array.from([0x80, 2, ...Array.from({ length: count }, () => bytes).flat()]);

function lying(change: (bytes: Uint8Array<ArrayBuffer>) => void): Uint8Array<ArrayBuffer> {
  const bytes = encodeTorch(ONE);
  change(bytes);
  return bytes;
}

const BAD: [title: string, bytes: () => Uint8Array, words: RegExp][] = [
  [
    "a call of os.system",
    () =>
      archive(
        start().global("posix", "system").text("touch owned").raw(0x85, 0x52, 0x2e),
      ),
    /m\/data\.pkl", byte 16: the global "posix\.system", which is never loaded; expected one of/,
  ],
  ["a global of builtins", () => archive(start().global("builtins", "eval")), /"builtins\.eval"/],
  [
    "a global of an object's prototype",
    () => archive(start().global("constructor", "constructor")),
    /"constructor\.constructor", which is never loaded/,
  ],
  ["an unknown opcode", () => archive(start().raw(0x69)), /byte 3: opcode 0x69/],
  ["a newer protocol", () => archive(new PickleWriter().raw(0x80, 4)), /protocol 4, expected 2/],
  ["a pickle that is cut off", () => archive(start().raw(0x58, 9, 0, 0, 0)), /it is cut off/],
  ["an empty stack", () => archive(start().raw(0x85)), /from an empty stack/],
  ["a value from before a mark", () => archive(start().raw(0x4e, 0x28, 0x85)), /an empty stack/],
  ["no mark", () => archive(start().raw(0x74)), /no mark/],
  ["an absent memo entry", () => archive(start().raw(0x68, 9)), /memo entry 9 is asked for/],
  ["a call of a number", () => archive(start().raw(0x4e, 0x29, 0x52)), /a call of something/],
  ["items of a tuple", () => archive(start().raw(0x29, 0x4e, 0x4e, 0x73)), /no dict/],
  ["a huge number", () => archive(start().raw(0x8a, 8, ...Array(8).fill(127))), /at most 2\^53/],
  ["a stack without end", () => archive(repeated(20_000, 0x4e)), /more than 10000 values/],
  ["marks without end", () => archive(repeated(20_000, 0x28)), /more than 10000 marks/],
  [
    "nesting without end",
    () => archive(Uint8Array.from([0x80, 2, 0x4e, ...Array(300_000).fill(0x85)])),
    /more than 100000 dicts and tuples/,
  ],
  ["no dict", () => archive(start().raw(0x4e, 0x2e)), /holds no dict of tensors/],
  [
    "something else than tensors",
    () => archive(start().raw(0x7d).text("epoch").number(3).raw(0x73, 0x2e)),
    /has "epoch", expected names of tensors only/,
  ],
  [
    "a name of pairs of pairs, which written out would have millions of characters",
    () => {
      const pickle = start().raw(0x7d).number(1);
      // Each pair is remembered and taken twice.
      for (let depth = 0; depth < 24; depth++) pickle.raw(0x71, depth, 0x68, depth, 0x86);
      return archive(pickle.number(3).raw(0x73, 0x2e));
    },
    /has a key that is no text, expected names of tensors only$/,
  ],
  ["a transposed tensor", () => archive(tensor(0, [2, 3], [1, 2])), /with strides \[1,2\]; exp/],
  ["a tensor beyond its storage", () => archive(tensor(1, [2, 3], [3, 1])), /at 1 of 6 stored/],
  [
    "a storage of another size",
    () => archive(tensor(0, [2, 3], [3, 1]), new Uint8Array(20)),
    /"m\/data\/0" has 20 bytes; expected 24 for 6 F32/,
  ],
  [
    "one storage many times over",
    () => {
      const pickle = start().raw(0x7d);
      const item = tensor(0, [600], [1], 600).bytes().subarray(9, -1);
      for (let index = 0; index < 20; index++) pickle.text(String(index)).raw(...item);
      return archive(pickle.raw(0x2e), new Uint8Array(2400));
    },
    /the tensors up to "\d+" are larger than the file/,
  ],
  ["a missing storage", () => encodeZip([{ name: PKL, bytes: pickleOf(ONE) }]), /no "m\/data\/0"/],
  ["no pickle", () => encodeZip([{ name: "m/data/0", bytes: DATA }]), /has no data\.pkl/],
  [
    "a big-endian file",
    () =>
      encodeZip([
        { name: PKL, bytes: pickleOf(ONE) },
        { name: "m/byteorder", bytes: new TextEncoder().encode("big") },
        { name: "m/data/0", bytes: DATA },
      ]),
    /byteorder" does not say little/,
  ],
  [
    "a compressed entry, which may unpack to anything",
    () => encodeZip([{ name: PKL, bytes: DATA, method: 8, claims: 4e9 }]),
    /"m\/data\.pkl" is compressed/,
  ],
  [
    "an entry beyond 4 GiB",
    () => encodeZip([{ name: PKL, bytes: DATA, claims: 0xffff_ffff }]),
    /beyond 4 GiB; save it as safetensors/,
  ],
  [
    "the same entry twice",
    () => encodeZip([{ name: PKL, bytes: DATA }, { name: PKL, bytes: DATA }]),
    /"m\/data\.pkl" occurs twice/,
  ],
  [
    "a huge pickle",
    () => encodeZip([{ name: PKL, bytes: new Uint8Array(5 << 20) }]),
    /has 5242880 bytes; expected at most 2097152/,
  ],
  ["an older format", () => start().raw(0x8a, 10).bytes(), /no zip archive, or its end is cut off/],
  ["a file that is cut off", () => encodeTorch(ONE).subarray(0, -30), /no zip archive/],
  ["an entry that is cut away", () => lying((bytes) => bytes.fill(0, 0, 4)), /does not begin at/],
  ["an empty file", () => new Uint8Array(), /no zip archive/],
];

for (const [title, bytes, message] of BAD) {
  Deno.test(`refused in a file of torch.save: ${title}`, () =>
    withTempDir((dir) => {
      const path = join(dir, "a.bin");
      Deno.writeFileSync(path, bytes());
      const started = performance.now();
      assert.throws(() => TorchFile.open(path), { kind: "data", message });
      assert.ok(performance.now() - started < 2000, "it took longer than 2 s");
    }));
}

Deno.test("a file of torch.save that is damaged anywhere is read or refused, and nothing else", () =>
  withTempDir((dir) => {
    const path = join(dir, "a.bin");
    const whole = encodeTorch(ONE);
    for (let at = 0; at < whole.length; at++) {
      for (const bits of [0x01, 0x80, 0xff]) {
        const bytes = whole.slice();
        bytes[at]! ^= bits;
        Deno.writeFileSync(path, bytes);
        try {
          using file = TorchFile.open(path);
          for (const name of file.tensors.keys()) file.read(name);
        } catch (error) {
          assert.equal((error as { kind?: string }).kind, "data", `byte ${at} ^ ${bits}: ${error}`);
        }
      }
    }
  }));
