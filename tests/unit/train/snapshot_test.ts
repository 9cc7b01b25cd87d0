/** Training state between an engine and files: in parts, whatever the size of its arrays. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { Engine } from "../../../src/engine/engine.ts";
import type { Reply, Request } from "../../../src/engine/protocol.gen.ts";
import { SafetensorsFile } from "../../../src/io/safetensors.ts";
import { safetensorsContent } from "../../../src/io/safetensors_writer.ts";
import { PART_BYTES } from "../../../src/model/tensor_parts.ts";
import {
  type Snapshot,
  snapshotOf,
  type Trained,
  writeSnapshot,
} from "../../../src/train/snapshot.ts";
import { withTempDir } from "../../support/temp_dir.ts";

/** Two whole parts and a little of a third. */
const COUNT = 2 * PART_BYTES / 4 + 3;
const MODULE = "model.layers.0.mlp.up_proj";
const TRAINED: Trained = {
  kind: "deltas",
  modules: [{ module: MODULE, count: COUNT, shape: [8192, 2048] }],
  optimizer: "adamw",
};

/** An engine whose arrays hold their own positions, and which remembers the most bytes that went either way at once. */
async function openCounting() {
  const seen = { read: 0, written: 0, elements: new Map<string, number>() };
  const answer = (
    request: Request,
    payload: Uint8Array,
  ): { header: Reply; payload: Uint8Array } => {
    if (request.op === "stateRead") {
      const { field, offset, count } = request;
      const isIndex = field === "indices" || field === "candidateIndices";
      const values = new (isIndex ? Uint32Array : Float32Array)(count ?? COUNT - offset);
      for (let at = 0; at < values.length; at++) values[at] = offset + at;
      seen.read = Math.max(seen.read, values.byteLength);
      const dtype = isIndex ? "u32" : "f32";
      const header = { kind: "arrayInfo", dtype, elements: values.length } as const;
      return { header, payload: new Uint8Array(values.buffer) };
    }
    if (request.op === "stateWrite") {
      const { field, offset } = request;
      assert.equal(offset, seen.elements.get(field) ?? 0, `${field} goes on where it was`);
      const isIndex = field === "indices" || field === "candidateIndices";
      const values = new (isIndex ? Uint32Array : Float32Array)(payload.slice().buffer);
      assert.ok(values.every((value, at) => value === Math.fround(offset + at)), field);
      seen.elements.set(field, offset + values.length);
      seen.written = Math.max(seen.written, payload.byteLength);
    }
    return { header: { kind: "done" }, payload: new Uint8Array(0) };
  };
  const transport = {
    call(header: string, payload: Uint8Array) {
      const request = JSON.parse(header) as Request;
      if (request.op === "engineOpen") {
        const info = { device: "cpu", deviceReason: "", adapter: "", threads: 1, formats: [] };
        const reply = JSON.stringify({ kind: "engineInfo", ...info });
        return Promise.resolve({ header: reply, payload: new Uint8Array(0) });
      }
      const reply = answer(request, payload);
      const bytes = new Uint8Array(reply.payload);
      return Promise.resolve({ header: JSON.stringify(reply.header), payload: bytes });
    },
    close() {},
  };
  const hosted = { transport, host: "wasm", version: "", reason: "a test" } as const;
  return { engine: await Engine.open(hosted, { device: "cpu" }), seen };
}

async function save(snapshot: Snapshot, folder: string): Promise<void> {
  for (const [name, tensors] of Object.entries(snapshot)) {
    using file = await Deno.create(join(folder, name));
    for await (const part of safetensorsContent(tensors)) file.writeSync(part);
  }
}

Deno.test("snapshot: arrays of any size are saved and loaded in bounded parts", () =>
  withTempDir(async (folder) => {
    const { engine, seen } = await openCounting();
    await save(snapshotOf(engine, TRAINED, 1), folder);
    assert.equal(seen.read, PART_BYTES);

    const files = { openGroup: (name: string) => SafetensorsFile.open(join(folder, name)) };
    await writeSnapshot(engine, TRAINED, files, { isOpen: true, samples: 1 });
    assert.equal(seen.written, PART_BYTES);
    assert.deepEqual(
      [...seen.elements],
      ["values", "ages", "expAvg", "expAvgSq"]
        .concat("candidateIndices", "candidateGrads", "candidateGradsSq")
        .map((field) => [field, COUNT]),
    );
    await engine.close();
  }));

Deno.test("snapshot: an array of another length than the engine's is refused by name", () =>
  withTempDir(async (folder) => {
    const { engine } = await openCounting();
    const trainedOf = (count: number): Trained => ({
      ...TRAINED,
      kind: "deltas",
      modules: [{ module: MODULE, count, shape: [8, 8] }],
      optimizer: "sm3",
    });
    await save(snapshotOf(engine, trainedOf(5), 0), folder);
    const files = { openGroup: (name: string) => SafetensorsFile.open(join(folder, name)) };
    const closed = { isOpen: false, samples: 0 };
    await assert.rejects(writeSnapshot(engine, trainedOf(6), files, closed), {
      kind: "data",
      message: /deltas\.safetensors has ".*up_proj\.indices" of shape \[5\]; expected \[6\]/,
    });
    await engine.close();
  }));
