/** Checkpoints: round trip, equal bytes, pruning, damage of every kind, refusals. */

import assert from "node:assert/strict";
import { basename, join } from "node:path";
import { loadNewestCheckpoint, saveCheckpoint } from "../../../src/checkpoint/checkpoint.ts";
import { encodeManifest } from "../../../src/checkpoint/manifest.ts";
import { movedWarning, refuseOtherRun } from "../../../src/checkpoint/state.ts";
import { SpielError } from "../../../src/errors.ts";
import { denoFiles, type Files, type OutputFile } from "../../../src/io/files.ts";
import { TEMPORARY_PREFIX } from "../../../src/io/publish.ts";
import { checkpointOf, contentOf, stateOf } from "../../support/checkpoints.ts";
import { withTempDir } from "../../support/temp_dir.ts";

const FILES = [
  "deltas.safetensors",
  "manifest.json",
  "optimizer.safetensors",
  "state.json",
  "window.safetensors",
];

const names = (dir: string) => [...Deno.readDirSync(dir)].map(({ name }) => name).sort();
const save = (dir: string, step: number, keep = 9, protect: number[] = []) =>
  saveCheckpoint(denoFiles, dir, checkpointOf(step), { keep, protect });

async function loadWithWarnings(dir: string) {
  const warnings: string[] = [];
  const onWarning = (message: string) => void warnings.push(message);
  return { loaded: await loadNewestCheckpoint(denoFiles, dir, { onWarning }), warnings };
}

Deno.test("what is saved is loaded, and the newest wins", () =>
  withTempDir(async (dir) => {
    await save(dir, 9);
    const path = await save(dir, 10);
    assert.equal(path, join(dir, "checkpoints", "step-00000010"));
    assert.deepEqual(names(path), FILES);
    const { loaded, warnings } = await loadWithWarnings(dir);
    assert.ok(loaded);
    assert.equal(loaded.path, path);
    assert.deepEqual(loaded.state, stateOf(10));
    assert.deepEqual(loaded.groupNames, FILES.filter((name) => name.endsWith(".safetensors")));
    using deltas = loaded.openGroup("deltas.safetensors");
    const { shape, dtype } = deltas.entry("q_proj.indices");
    assert.deepEqual({ shape, dtype }, { shape: [64], dtype: "U32" });
    const indices = new Uint32Array(deltas.read("q_proj.indices").buffer);
    assert.deepEqual(indices, Uint32Array.from({ length: 64 }, (_, i) => i * 3 + 10));
    assert.deepEqual(warnings, []);
  }));

Deno.test("no run, or a run without checkpoints, is not an error", () =>
  withTempDir(async (dir) => {
    assert.equal(await loadNewestCheckpoint(denoFiles, join(dir, "missing")), null);
    await denoFiles.makeFolder(join(dir, "checkpoints", "tmp-step-00000001"));
    assert.equal(await loadNewestCheckpoint(denoFiles, dir), null);
    assert.deepEqual(names(join(dir, "checkpoints")), []);
  }));

Deno.test("the same state gives the same bytes, whatever the order of keys and the folder", () =>
  withTempDir(async (dir) => {
    const [a, b] = [join(dir, "a"), join(dir, "b")];
    const first = await save(a, 5);
    const checkpoint = checkpointOf(5);
    const reversed = Object.fromEntries(Object.entries(checkpoint.state).reverse());
    const second = await saveCheckpoint(denoFiles, b, {
      state: reversed as typeof checkpoint.state,
      groups: Object.fromEntries(Object.entries(checkpoint.groups).reverse()),
    }, { keep: 1 });
    for (const name of FILES) {
      assert.deepEqual(Deno.readFileSync(join(second, name)), Deno.readFileSync(join(first, name)));
    }
  }));

Deno.test("saving a step again replaces its checkpoint", () =>
  withTempDir(async (dir) => {
    await save(dir, 5);
    const changed = checkpointOf(5);
    changed.state.best_eval = { step: 5, loss: 0.125 };
    await saveCheckpoint(denoFiles, dir, changed, { keep: 1 });
    const { loaded } = await loadWithWarnings(dir);
    assert.deepEqual(loaded?.state.best_eval, { step: 5, loss: 0.125 });
    assert.deepEqual(names(join(dir, "checkpoints")), ["step-00000005"]);
  }));

Deno.test("pruning keeps the newest N, the protected and what was set aside", () =>
  withTempDir(async (dir) => {
    for (const step of [1, 2, 3, 4, 5]) await save(dir, step);
    await denoFiles.makeFolder(join(dir, "checkpoints", "corrupt-step-00000000"));
    await save(dir, 6, 2, [2]);
    assert.deepEqual(names(join(dir, "checkpoints")), [
      "corrupt-step-00000000",
      "step-00000002",
      "step-00000005",
      "step-00000006",
    ]);
    await save(dir, 7, 1);
    assert.deepEqual(names(join(dir, "checkpoints")), ["corrupt-step-00000000", "step-00000007"]);
    await assert.rejects(save(dir, 8, 0), { kind: "usage", message: /Cannot keep 0 checkpoints/ });
  }));

Deno.test("steps beyond eight digits still sort by number", () =>
  withTempDir(async (dir) => {
    await save(dir, 99_999_999);
    await save(dir, 100_000_000);
    const { loaded } = await loadWithWarnings(dir);
    assert.equal(loaded?.state.step, 100_000_000);
  }));

/** Saves steps 1 and 2, damages step 2, and expects step 1 with one warning that names step 2. */
async function expectFallback(damage: (newest: string, older: string) => void, what: string) {
  await withTempDir(async (dir) => {
    const older = await save(dir, 1);
    const newest = await save(dir, 2);
    damage(newest, older);
    const { loaded, warnings } = await loadWithWarnings(dir);
    assert.equal(loaded?.state.step, 1, what);
    assert.deepEqual(contentOf(loaded!), contentOf((await loadWithWarnings(dir)).loaded!));
    assert.equal(warnings.length, 1, what);
    assert.match(warnings[0]!, /step 2 is damaged \(.+\).*corrupt-step-00000002/);
    assert.ok(names(join(dir, "checkpoints")).includes("corrupt-step-00000002"), what);
  });
}

Deno.test("a flipped bit anywhere is found, and the one before is loaded", async () => {
  for (const name of FILES) {
    const size = await withTempDir(async (dir) =>
      Deno.statSync(join(await save(dir, 2), name)).size
    );
    // Every byte of the small files, and a spread over the larger ones.
    const stride = Math.max(1, Math.floor(size / 100));
    for (let at = 0; at < size; at += stride) {
      await expectFallback((newest) => {
        const bytes = Deno.readFileSync(join(newest, name));
        bytes[at]! ^= 1 << (at % 8);
        Deno.writeFileSync(join(newest, name), bytes);
      }, `${name} byte ${at}`);
    }
  }
});

Deno.test("a truncated, lengthened, empty, missing or swapped file is found", async () => {
  for (const name of FILES) {
    for (const share of [0, 0.3, 0.9, 0.999]) {
      await expectFallback((newest) => {
        const path = join(newest, name);
        Deno.truncateSync(path, Math.floor(Deno.statSync(path).size * share));
      }, `${name} cut to ${share}`);
    }
    await expectFallback(
      (newest) => Deno.writeFileSync(join(newest, name), new Uint8Array(1), { append: true }),
      `${name} with a byte more`,
    );
    await expectFallback((newest) => Deno.removeSync(join(newest, name)), `${name} missing`);
  }
  for (const name of FILES.filter((name) => name !== "window.safetensors")) {
    await expectFallback(
      (newest, older) => Deno.copyFileSync(join(older, name), join(newest, name)),
      `${name} of another step`,
    );
  }
});

Deno.test("a whole checkpoint under another step's name is found", () =>
  expectFallback((newest, older) => {
    for (const name of FILES) Deno.copyFileSync(join(older, name), join(newest, name));
  }, "whole folder"));

Deno.test("an unfinished folder under a final name is passed over", () =>
  expectFallback((newest) => {
    Deno.removeSync(newest, { recursive: true });
    Deno.mkdirSync(newest);
  }, "empty folder"));

Deno.test("a manifest that lists a file outside the folder is refused", () =>
  expectFallback((newest) => {
    const outside = { "../../secret": { size: 0, sha256: "0".repeat(64) } };
    Deno.writeFileSync(join(newest, "manifest.json"), encodeManifest(2, outside));
  }, "path"));

Deno.test("who only reads passes over a damaged checkpoint and leaves it as it is", () =>
  withTempDir(async (dir) => {
    await save(dir, 1);
    Deno.truncateSync(join(await save(dir, 2), "state.json"), 3);
    const temporary = join(dir, "checkpoints", `${TEMPORARY_PREFIX}step-00000003`);
    Deno.mkdirSync(temporary);
    const before = names(join(dir, "checkpoints"));
    const warnings: string[] = [];
    const onWarning = (message: string) => void warnings.push(message);
    const loaded = await loadNewestCheckpoint(denoFiles, dir, { onWarning, readOnly: true });
    assert.equal(loaded?.state.step, 1);
    assert.match(warnings.join(), /^Checkpoint of step 2 is damaged .*, trying the one before$/);
    assert.deepEqual(names(join(dir, "checkpoints")), before);
  }));

Deno.test("when every checkpoint is damaged the run does not start from zero, now or later", () =>
  withTempDir(async (dir) => {
    for (const step of [1, 2]) Deno.truncateSync(join(await save(dir, step), "state.json"), 3);
    for (let attempt = 0; attempt < 2; attempt++) {
      await assert.rejects(loadNewestCheckpoint(denoFiles, dir), {
        kind: "storage",
        message: /none of them is intact/,
      });
    }
    assert.deepEqual(names(join(dir, "checkpoints")), [
      "corrupt-step-00000001",
      "corrupt-step-00000002",
    ]);
  }));

Deno.test("a damaged checkpoint set aside twice keeps both", () =>
  withTempDir(async (dir) => {
    await save(dir, 1);
    for (let round = 0; round < 2; round++) {
      Deno.removeSync(join(await save(dir, 2), "manifest.json"));
      await loadNewestCheckpoint(denoFiles, dir);
    }
    assert.deepEqual(names(join(dir, "checkpoints")), [
      "corrupt-step-00000002",
      "corrupt-step-00000002-2",
      "step-00000001",
    ]);
  }));

Deno.test("an intact checkpoint of a newer format stops the program and is left alone", () =>
  withTempDir(async (dir) => {
    const path = join(await save(dir, 3), "manifest.json");
    const { digest: _, ...body } = JSON.parse(Deno.readTextFileSync(path));
    body.format_version = 2;
    const bytes = new TextEncoder().encode(JSON.stringify(body));
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
    Deno.writeTextFileSync(path, JSON.stringify({ ...body, digest: hash }, null, 2) + "\n");
    await assert.rejects(loadNewestCheckpoint(denoFiles, dir), {
      kind: "environment",
      message: /format version 2/,
    });
    assert.deepEqual(names(join(dir, "checkpoints")), ["step-00000003"]);
  }));

Deno.test("non-finite values are refused by tensor and nothing is left", () =>
  withTempDir(async (dir) => {
    await save(dir, 1);
    const diverged = new Float32Array(60);
    diverged[3] = Infinity;
    const checkpoint = checkpointOf(2);
    const moment = checkpoint.groups["optimizer.safetensors"]!.get("q_proj.moment1")!;
    moment.parts = () => [new Float32Array(4), diverged];
    await assert.rejects(saveCheckpoint(denoFiles, dir, checkpoint, { keep: 1 }), {
      kind: "numeric",
      message: /"q_proj.moment1" in optimizer.safetensors: element 7 is not finite/,
    });
    assert.deepEqual(names(join(dir, "checkpoints")), ["step-00000001"]);
  }));

Deno.test("a checkpoint is written tensor by tensor: none is read before the last is on its way", () =>
  withTempDir(async (dir) => {
    const log: string[] = [];
    const logged = (path: string, file: OutputFile): OutputFile => ({
      write: (bytes) => {
        log.push(`write ${bytes.length} to ${basename(path)}`);
        return file.write(bytes);
      },
      sync: () => file.sync(),
      close: () => file.close(),
    });
    const files: Files = {
      ...denoFiles,
      create: async (path) => logged(path, await denoFiles.create(path)),
    };
    const group = ["a", "b"].map((name) => {
      const parts = () => (log.push(`read ${name}`), [new Float32Array(3 << 20)]);
      return [name, { dtype: "F32", shape: [3 << 20], parts }] as const;
    });
    const groups = { "deltas.safetensors": new Map(group) };
    await saveCheckpoint(files, dir, { state: stateOf(1), groups }, { keep: 1 });
    const part = (length: number) => `write ${length} to deltas.safetensors`;
    const tensor = [part(8 << 20), part(4 << 20)];
    assert.deepEqual(log.slice(1, 7), ["read a", ...tensor, "read b", ...tensor]);
    assert.equal((await loadWithWarnings(dir)).loaded?.state.step, 1);
  }));

Deno.test("a checkpoint of another run is refused with what differs", () => {
  const state = stateOf(4);
  refuseOtherRun(state, state.run, "x");
  assert.throws(
    () => refuseOtherRun(state, { ...state.run, base_model_hash: "d".repeat(64) }, "runs/a"),
    (error) =>
      error instanceof SpielError && error.kind === "usage" &&
      error.message.includes('Cannot resume from "runs/a": it was made with another base model'),
  );
  const other = { ...state.run, held_out_fingerprint: null, adapter_digest: "e".repeat(64) };
  assert.throws(() => refuseOtherRun(state, other, "runs/a"), {
    message: /made with other held-out data and another adapter to begin with/,
  });
});

Deno.test("a run that goes on elsewhere is warned of other bits", () => {
  const state = stateOf(4);
  assert.equal(movedWarning(state, { host: "native", device: "cpu" }), null);
  const warning = movedWarning(state, { host: "wasm", device: "cpu" }) ?? "";
  assert.match(warning, /^Up to step 4 .* host native, device cpu; on host wasm, .* differ/);
});
