/** Safetensors: what is written is read back, and every kind of bad file is refused by name. */
import assert from "node:assert/strict";
import { MAX_HEADER_BYTES, SafetensorsFile } from "../../../src/io/safetensors.ts";
import { SafetensorsFolder } from "../../../src/io/safetensors_shards.ts";
import { safetensorsContent, safetensorsHeader } from "../../../src/io/safetensors_writer.ts";
import { encodeSafetensors, inParts, type TensorData } from "../../support/encode_safetensors.ts";
import { assertRefuses } from "../../support/refuses.ts";
import { withTempDir } from "../../support/temp_dir.ts";

/** A file of a header text and some data. */
function file(header: string, data = new Uint8Array(0), headerLength?: bigint): Uint8Array {
  const json = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + json.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, headerLength ?? BigInt(json.length), true);
  bytes.set(json, 8);
  bytes.set(data, 8 + json.length);
  return bytes;
}

const entry = (dtype: string, shape: number[], begin: number, end: number) =>
  `{"dtype":"${dtype}","shape":[${shape}],"data_offsets":[${begin},${end}]}`;
const data = (length: number) => new Uint8Array(length);

const BAD: [kind: string, bytes: Uint8Array, ...fragments: string[]][] = [
  ["empty file", data(0), "0 bytes", "at least 8"],
  ["header length over the limit", file("{}", data(0), 100_000_001n), "100000001", "at most"],
  ["header length of 64 bits", file("{}", data(0), 2n ** 63n), "header length"],
  ["header past the end", file("{}", data(0), 3n), "header length is 3", "10 bytes"],
  ["not UTF-8", file("{}").fill(0xFF, 8), "UTF-8"],
  ["not an object", file("[]"), `does not start with "{"`],
  ["leading space", file(" {}"), `does not start with "{"`],
  ["not JSON", file("{"), "not valid JSON"],
  [
    "duplicate tensor",
    file(`{"a":${entry("U8", [1], 0, 1)},"a":${entry("U8", [1], 0, 1)}}`, data(1)),
    `"a" occurs twice`,
  ],
  [
    "duplicate tensor, escaped",
    file(`{"a":${entry("U8", [1], 0, 1)},"\\u0061":${entry("U8", [1], 0, 1)}}`, data(1)),
    `"a" occurs twice`,
  ],
  ["deep nesting", file(`{"a":${"[".repeat(50)}${"]".repeat(50)}}`), "nests deeper"],
  ["exponent", file(`{"a":{"dtype":"U8","shape":[1e2],"data_offsets":[0,100]}}`, data(100)), "1e2"],
  ["negative size", file(`{"a":${entry("U8", [-1], 0, 1)}}`, data(1)), "-1"],
  ["unknown dtype", file(`{"a":${entry("F4", [2], 0, 1)}}`, data(1)), `"a"`, "F4", "BF16"],
  ["unknown field", file(`{"a":{"x":1}}`), `"a"`, `"x"`],
  ["no shape", file(`{"a":{"dtype":"U8","data_offsets":[0,1]}}`, data(1)), `"a"`, "shape"],
  [
    "three offsets",
    file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}}`),
    "data_offsets",
  ],
  ["wrong size", file(`{"a":${entry("F32", [2], 0, 4)}}`, data(4)), `"a"`, "4 bytes", "expected 8"],
  ["reversed offsets", file(`{"a":${entry("U8", [1], 1, 0)}}`, data(1)), `"a"`, "[1, 0]"],
  [
    "product overflow",
    file(`{"a":${entry("F32", [4294967296, 4294967296], 0, 4)}}`, data(4)),
    "too large",
  ],
  [
    "a hole",
    file(`{"a":${entry("U8", [1], 0, 1)},"b":${entry("U8", [1], 2, 3)}}`, data(3)),
    `"b"`,
    "starts at data offset 2",
    "expected 1",
  ],
  [
    "an overlap",
    file(`{"a":${entry("U8", [2], 0, 2)},"b":${entry("U8", [2], 1, 3)}}`, data(3)),
    `"b"`,
    "expected 2",
  ],
  ["a late start", file(`{"a":${entry("U8", [1], 1, 2)}}`, data(2)), "expected 0"],
  ["truncated data", file(`{"a":${entry("U8", [4], 0, 4)}}`, data(3)), "truncated"],
  ["bytes behind the end", file(`{"a":${entry("U8", [1], 0, 1)}}`, data(2)), "tensors end at"],
  ["metadata of numbers", file(`{"__metadata__":{"a":1}}`), "__metadata__", `"a"`],
];

Deno.test("bad safetensors files are refused by name", () =>
  withTempDir((dir) => {
    const path = `${dir}/bad.safetensors`;
    for (const [, bytes, ...fragments] of BAD) {
      Deno.writeFileSync(path, bytes);
      assertRefuses(() => SafetensorsFile.open(path), "data", path, ...fragments);
    }
    assertRefuses(() => SafetensorsFile.open(`${dir}/none`), "data", `${dir}/none`, "not exist");
    assertRefuses(() => SafetensorsFile.open(dir), "data", dir, "folder");
  }));

Deno.test("every truncation of a safetensors file is refused", () =>
  withTempDir((dir) => {
    const bytes = encodeSafetensors(
      new Map([["a", { dtype: "F32", shape: [3], data: Float32Array.of(1, 2, 3) }]]),
    );
    for (let length = 0; length < bytes.length; length++) {
      Deno.writeFileSync(`${dir}/cut`, bytes.subarray(0, length));
      assertRefuses(() => SafetensorsFile.open(`${dir}/cut`), "data", `${dir}/cut`);
    }
  }));

Deno.test("safetensors are read back as written, whole and by range", () =>
  withTempDir((dir) => {
    const values = Float32Array.from({ length: 12 }, (_, i) => i / 3);
    const tensors = new Map(
      [
        ["b", { dtype: "F32", shape: [3, 4], data: values }],
        ["__proto__", { dtype: "U8", shape: [3], data: Uint8Array.of(1, 2, 3) }],
        ["a", { dtype: "F32", shape: [], data: Float32Array.of(7) }],
        ["empty", { dtype: "I64", shape: [0, 5], data: new BigInt64Array(0) }],
      ] as const,
    );
    const bytes = encodeSafetensors(tensors, { format: "pt", a: "\u00e9" });
    assert.deepEqual(
      encodeSafetensors(new Map([...tensors].reverse()), { a: "\u00e9", format: "pt" }),
      bytes,
    );
    Deno.writeFileSync(`${dir}/a`, bytes);
    using opened = SafetensorsFile.open(`${dir}/a`);
    assert.deepEqual([...opened.tensors.keys()], ["empty", "a", "b", "__proto__"]);
    assert.deepEqual({ ...opened.metadata }, { a: "\u00e9", format: "pt" });
    assert.deepEqual(new Float32Array(opened.read("b").buffer), values);
    assert.deepEqual(new Float32Array(opened.readRange("b", 16, 8).buffer), values.slice(4, 6));
    assert.deepEqual(opened.read("__proto__"), Uint8Array.of(1, 2, 3));
    for (const { byteOffset, dtype } of opened.tensors.values()) {
      assert.equal(byteOffset % (dtype === "U8" ? 1 : 4), 0, "aligned");
    }
    assertRefuses(() => opened.readRange("b", 40, 9), "data", `"b"`, "48 bytes");
    assertRefuses(() => opened.read("c"), "data", `"c"`);
  }));

Deno.test("a planned header is the start of the encoded file", () => {
  const data = Uint8Array.of(1, 2, 3);
  const plan = safetensorsHeader(new Map([["x", { dtype: "U8", shape: [3] }]]));
  const bytes = encodeSafetensors(new Map([["x", { dtype: "U8", shape: [3], data }]]));
  assert.equal(plan.size, bytes.length);
  assert.equal(plan.header.length % 8, 0);
  assert.deepEqual(bytes.subarray(0, plan.header.length), plan.header);
  assert.deepEqual(plan.payloads, [{ name: "x", byteLength: 3 }]);
});

async function collect(parts: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array<ArrayBuffer>[] = [];
  for await (const part of parts) all.push(part.slice());
  return new Uint8Array(await new Blob(all).arrayBuffer());
}

const THREE: ReadonlyMap<string, TensorData> = new Map([
  ["b", { dtype: "F32", shape: [6], data: Float32Array.of(1, 2, 3, 4, 5, 6) }],
  ["a", { dtype: "F32", shape: [2, 2], data: Float32Array.of(7, 8, 9, 10) }],
  ["c", { dtype: "U8", shape: [3], data: Uint8Array.of(1, 2, 3) }],
]);

Deno.test("a file made in parts has the bytes of the whole, whatever the parts", async () => {
  for (const partBytes of [4, 12, Infinity]) {
    const tensors = [...THREE].map(([name, tensor]) => [name, inParts(tensor, partBytes)] as const);
    const content = safetensorsContent(new Map(tensors), { metadata: { format: "pt" } });
    assert.deepEqual(await collect(content), encodeSafetensors(THREE, { format: "pt" }));
  }
});

Deno.test("a tensor's elements are asked for when its turn comes, and inspected before they are given", async () => {
  const log: string[] = [];
  const tensors = [...THREE].map(([name, tensor]) => {
    const { parts, ...spec } = inParts(tensor, 8);
    return [name, { ...spec, parts: () => (log.push(`read ${name}`), parts()) }] as const;
  });
  const content = safetensorsContent(new Map(tensors), {
    inspect: (name, elements, first) => log.push(`${name} ${first}+${elements.length}`),
  });
  for await (const part of content) log.push(`write ${part.length}`);
  assert.match(log.shift()!, /^write \d+$/);
  assert.deepEqual(log, [
    ...["read a", "a 0+8", "write 8", "a 2+8", "write 8"],
    ...["read b", "b 0+8", "write 8", "b 2+8", "write 8", "b 4+8", "write 8"],
    ...["read c", "c 0+3", "write 3"],
  ]);
});

Deno.test("a tensor with too few or too many elements is a fault of the program", async () => {
  for (const length of [2, 4]) {
    const parts = () => [new Float32Array(length)];
    const content = safetensorsContent(new Map([["x", { dtype: "F32", shape: [3], parts }]]));
    await assert.rejects(collect(content), {
      kind: "internal",
      message: `Cannot encode tensor "x": ${4 * length} bytes given, 12 expected`,
    });
  }
});

Deno.test("shards and their index must agree", () =>
  withTempDir((dir) => {
    const shard = (name: string) =>
      encodeSafetensors(new Map([[name, { dtype: "U8", shape: [1], data: Uint8Array.of(9) }]]));
    Deno.writeFileSync(`${dir}/one.safetensors`, shard("a"));
    Deno.writeFileSync(`${dir}/two.safetensors`, shard("b"));
    const openWith = (weightMap: unknown) => {
      const index = JSON.stringify({ weight_map: weightMap });
      Deno.writeTextFileSync(`${dir}/model.safetensors.index.json`, index);
      return SafetensorsFolder.open(dir);
    };
    using folder = openWith({ a: "one.safetensors", b: "two.safetensors" });
    assert.deepEqual([...folder.names()].sort(), ["a", "b"]);
    assert.deepEqual(folder.fileOf("b")?.read("b"), Uint8Array.of(9));

    const one = { a: "one.safetensors" };
    assertRefuses(() => openWith({ ...one, c: "two.safetensors" }), "data", `"c"`, "lacks it");
    assertRefuses(() => openWith({ ...one, b: "three.safetensors" }), "data", "three", "not exist");
    assertRefuses(() => openWith({ b: "two.safetensors", a: "two.safetensors" }), "data", `"a"`);
    Deno.writeFileSync(
      `${dir}/two.safetensors`,
      encodeSafetensors(
        new Map(["b", "x"].map((name) => [name, { dtype: "U8", shape: [0], data: data(0) }])),
      ),
    );
    assertRefuses(
      () => openWith({ ...one, b: "two.safetensors" }),
      "data",
      "does not list",
      `"x"`,
      "two.safetensors",
    );
    for (
      const outside of [
        "../one.safetensors",
        "/etc/a.safetensors",
        "a/b.safetensors",
        ".safetensors",
        3,
      ]
    ) {
      assertRefuses(() => openWith({ a: outside }), "data", "plain name");
    }
    Deno.removeSync(`${dir}/model.safetensors.index.json`);
    Deno.writeTextFileSync(`${dir}/pytorch_model.bin`, "");
    assertRefuses(() => SafetensorsFolder.open(dir), "data", "pickles");
  }));

Deno.test("a header of nearly the limit is read, escapes and all", () =>
  withTempDir((dir) => {
    const path = `${dir}/long.safetensors`;
    const template = "\n".repeat(MAX_HEADER_BYTES / 2 - 100) + '"';
    const header = `{"__metadata__":{"t":${JSON.stringify(template)}},"a":${
      entry("U8", [1], 0, 1)
    }}`;
    Deno.writeFileSync(path, file(header, Uint8Array.of(7)));
    using read = SafetensorsFile.open(path);
    assert.equal(read.metadata.t, template);
    assert.deepEqual(read.read("a"), Uint8Array.of(7));
  }));
