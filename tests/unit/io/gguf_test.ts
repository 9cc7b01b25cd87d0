/** GGUF: what is built is read back, and every kind of bad file is refused by name. */
import assert from "node:assert/strict";
import { GgufFile } from "../../../src/io/gguf.ts";
import { buildGguf, ByteWriter, type GgufBuilderTensor } from "../../support/gguf_builder.ts";
import { assertRefuses } from "../../support/refuses.ts";
import { withTempDir } from "../../support/temp_dir.ts";

const F32 = 0;
const Q8_0 = 8;
const tensor = (changes: Partial<GgufBuilderTensor> = {}): GgufBuilderTensor => ({
  name: "t",
  dimensions: [2, 3],
  type: F32,
  data: new Uint8Array(24).map((_, i) => i),
  ...changes,
});

/** A header with one metadata entry of hand-made bytes. */
const withValue = (write: (writer: ByteWriter) => void) => {
  const writer = new ByteWriter().raw(new TextEncoder().encode("GGUF")).u32(3).u64(0).u64(1);
  write(writer.string("key"));
  return writer.bytes();
};

const BAD: [kind: string, bytes: Uint8Array, ...fragments: string[]][] = [
  ["empty", new Uint8Array(0), "magic"],
  ["wrong magic", new TextEncoder().encode("GGML12345678"), `"GGUF"`],
  ["version 1", buildGguf({ version: 1 }), "version is 1", "2 or 3"],
  ["big-endian", buildGguf({ version: 0x03000000 }), "big-endian"],
  ["many tensors", buildGguf({ tensorCount: 2n ** 60n }), "number of tensors", "at most"],
  ["much metadata", buildGguf({ metadataCount: 2n ** 63n }), "metadata entries", "at most"],
  ["missing metadata", buildGguf({ metadataCount: 1n }), "file ends inside"],
  [
    "duplicate key",
    buildGguf({ metadata: [["a", { type: "u32", value: 1 }], ["a", { type: "u32", value: 1 }]] }),
    `"a" occurs twice`,
  ],
  ["unknown value type", withValue((w) => w.u32(13)), `"key"`, "unknown type 13"],
  ["string past the end", withValue((w) => w.u32(8).u64(1000)), `"key"`, "file ends"],
  ["string of 64 bits", withValue((w) => w.u32(8).u64(2n ** 64n - 1n)), `"key"`, "at most"],
  ["string not UTF-8", withValue((w) => w.u32(8).u64(1).u8(0xFF)), `"key"`, "UTF-8"],
  [
    "strings that are UTF-8 together only",
    withValue((w) => w.u32(9).u32(8).u64(2).u64(1).u8(0xC4).u64(1).u8(0xA0)),
    `"key"`,
    "UTF-8",
  ],
  [
    "a string among strings not UTF-8",
    withValue((w) => w.u32(9).u32(8).u64(2).u64(1).u8(0x61).u64(1).u8(0xFF)),
    `"key"`,
    "UTF-8",
  ],
  [
    "strings past the end",
    withValue((w) => w.u32(9).u32(8).u64(2).u64(1).u8(0x61).u64(1000)),
    `"key"`,
    "file ends",
  ],
  ["array past the end", withValue((w) => w.u32(9).u32(4).u64(1_000_000)), "rest of the file"],
  ["array of 64 bits", withValue((w) => w.u32(9).u32(4).u64(2n ** 62n)), "at most"],
  ["array of unknown", withValue((w) => w.u32(9).u32(77).u64(1)), "unknown type 77"],
  [
    "deep arrays",
    withValue((w) => {
      w.u32(9);
      for (let i = 0; i < 9; i++) w.u32(9).u64(1);
    }),
    "nests arrays",
  ],
  [
    "alignment",
    buildGguf({ metadata: [["general.alignment", { type: "u32", value: 24 }]] }),
    "general.alignment is 24",
    "power of two",
  ],
  ["duplicate tensor", buildGguf({ tensors: [tensor(), tensor()] }), `"t" occurs twice`],
  ["no dimensions", buildGguf({ tensors: [tensor({ dimensions: [] })] }), "0 dimensions"],
  ["five dimensions", buildGguf({ tensors: [tensor({ dimensions: [1, 1, 1, 1, 1] })] }), "5 dim"],
  ["unknown tensor type", buildGguf({ tensors: [tensor({ type: 4 })] }), "unknown type 4"],
  [
    "rows of part blocks",
    buildGguf({ tensors: [tensor({ type: Q8_0, dimensions: [33, 2] })] }),
    "33 elements",
    "multiple of 32",
  ],
  [
    "overflowing shape",
    buildGguf({ tensors: [tensor({ dimensions: [2 ** 40, 2 ** 40] })] }),
    "too large",
  ],
  ["odd offset", buildGguf({ tensors: [tensor({ offset: 8 })] }), "offset 8", "multiple of 32"],
  ["offset past the end", buildGguf({ tensors: [tensor({ offset: 4096 })] }), "truncated"],
  ["overlap", buildGguf({ tensors: [tensor(), tensor({ name: "u", offset: 0 })] }), "overlaps"],
];

Deno.test("bad GGUF files are refused by name", () =>
  withTempDir((dir) => {
    const path = `${dir}/bad.gguf`;
    for (const [kind, bytes, ...fragments] of BAD) {
      Deno.writeFileSync(path, bytes);
      try {
        assertRefuses(() => GgufFile.open(path), "data", path, ...fragments);
      } catch (error) {
        throw new Error(`case "${kind}"`, { cause: error });
      }
    }
  }));

Deno.test("every truncation of a GGUF file is refused", () =>
  withTempDir((dir) => {
    const bytes = buildGguf({
      metadata: [["a", { type: "strings", value: ["x", "yz"] }]],
      tensors: [tensor({ data: new Uint8Array(32), dimensions: [8] })],
    });
    for (let length = 0; length < bytes.length; length++) {
      Deno.writeFileSync(`${dir}/cut`, bytes.subarray(0, length));
      assertRefuses(() => GgufFile.open(`${dir}/cut`), "data", `${dir}/cut`);
    }
  }));

Deno.test("GGUF files of both versions are read", () =>
  withTempDir((dir) => {
    const words = ["a", "", "\u00e9", "\u6f22\u{1f600}", "\ufeff", "b".repeat(40)];
    for (const version of [2, 3]) {
      const content = buildGguf({
        version,
        metadata: [
          ["text", { type: "string", value: "\u00e9" }],
          ["flag", { type: "bool", value: true }],
          ["small", { type: "i32", value: -5 }],
          ["size", { type: "u64", value: 2 ** 40 }],
          ["words", { type: "strings", value: words }],
          ["numbers", { type: "i32s", value: [1, -1] }],
        ],
        tensors: [
          tensor(),
          tensor({ name: "q", type: Q8_0, dimensions: [64, 2], data: new Uint8Array(136).fill(3) }),
        ],
      });
      Deno.writeFileSync(`${dir}/a.gguf`, content);
      using file = GgufFile.open(`${dir}/a.gguf`);
      assert.equal(file.string("text"), "\u00e9");
      assert.equal(file.boolean("flag"), true);
      assert.equal(file.number("small"), -5);
      assert.equal(file.number("size"), 2 ** 40);
      assert.equal(file.number("none"), undefined);
      assert.deepEqual(file.strings("words"), words);
      assert.deepEqual(file.numbers("numbers"), [1, -1]);
      assert.deepEqual(file.tensors.get("t")?.shape, [3, 2]);
      assert.deepEqual(file.readRange("t", 4, 3), Uint8Array.of(4, 5, 6));
      assert.equal(file.tensors.get("q")?.byteLength, 136);
      assert.deepEqual(file.readRange("q", 134, 2), Uint8Array.of(3, 3));
      assertRefuses(() => file.readRange("q", 135, 2), "data", `"q"`, "136 bytes");
      assertRefuses(() => file.number("text"), "data", `"text"`, "a number");
    }
  }));
