/** GGUF files that are written: read back whole, and refused where a tensor's parts do not add up. */
import assert from "node:assert/strict";
import { GgufFile } from "../../../src/io/gguf.ts";
import {
  ggufContent,
  type GgufField,
  type GgufTensorContent,
} from "../../../src/io/gguf_writer.ts";
import { withTempDir } from "../../support/temp_dir.ts";

async function written(
  metadata: ReadonlyMap<string, GgufField>,
  tensors: readonly GgufTensorContent[],
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of ggufContent(metadata, tensors)) parts.push(part);
  return new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer());
}

function tensor(name: string, type: string, shape: number[], ...bytes: Uint8Array<ArrayBuffer>[]) {
  async function* parts() {
    yield* bytes;
  }
  return { name, type, shape, parts };
}

const filled = (length: number, value: number) => new Uint8Array(length).fill(value);

Deno.test("a written GGUF file is read back with every type of value and every tensor in its place", () =>
  withTempDir(async (dir) => {
    const metadata = new Map<string, GgufField>([
      ["a.count", { type: "u32", value: 0xFFFF_FFFE }],
      ["a.eps", { type: "f32", value: 0.5 ** 16 }],
      ["a.flag", { type: "bool", value: true }],
      ["a.text", { type: "string", value: "東京 🙂\n" }],
      ["a.tokens", {
        type: "strings",
        value: Array.from({ length: 20_000 }, (_, i) => `t${i}é`),
      }],
      ["a.types", { type: "i32s", value: [1, -3, 6] }],
      ["a.scores", { type: "f32s", value: [-1000, 0.25] }],
    ]);
    const bytes = await written(metadata, [
      tensor("odd", "F32", [3], filled(12, 1)),
      tensor("packed", "Q4_0", [3, 64], filled(36, 2), filled(72, 3)),
      tensor("k", "Q6_K", [2, 256], filled(420, 4)),
    ]);
    const path = `${dir}/a.gguf`;
    Deno.writeFileSync(path, bytes);
    using file = GgufFile.open(path);
    assert.deepEqual(
      [...file.metadata],
      [...metadata].map(([key, { value }]) => [key, value]),
    );
    const places = [...file.tensors].map(([name, { type, shape, byteOffset, byteLength }]) => {
      assert.equal(byteOffset % 32, 0, name);
      return [name, type.name, shape, byteLength];
    });
    assert.deepEqual(places, [
      ["odd", "F32", [3], 12],
      ["packed", "Q4_0", [3, 64], 108],
      ["k", "Q6_K", [2, 256], 420],
    ]);
    assert.deepEqual(file.readRange("odd", 0, 12), filled(12, 1));
    assert.deepEqual([...file.readRange("packed", 35, 2)], [2, 3]);
    assert.deepEqual(file.readRange("k", 0, 420), filled(420, 4));
    assert.equal(bytes.length % 32, 0);
  }));

Deno.test("a tensor whose parts are not as long as its shape says is a fault of ours", async () => {
  await assert.rejects(written(new Map(), [tensor("a", "F16", [2, 4], filled(15, 0))]), {
    kind: "internal",
    message: 'Cannot encode tensor "a": 15 bytes given, 16 expected',
  });
});
