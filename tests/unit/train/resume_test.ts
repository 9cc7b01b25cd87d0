/** An interrupted and resumed run ends in the same bytes, wherever it was interrupted. */

import assert from "node:assert/strict";
import { loadNewestCheckpoint } from "../../../src/checkpoint/checkpoint.ts";
import { SpielError } from "../../../src/errors.ts";
import { denoFiles } from "../../../src/io/files.ts";
import { restoreRun, saveRun } from "../../../src/train/checkpointing.ts";
import { startPosition } from "../../../src/train/position.ts";
import { Trainer } from "../../../src/train/trainer.ts";
import { openFakeEngine } from "../../support/fake_engine.ts";
import {
  attachToyDeltas,
  createToy,
  TOY_BATCHES,
  toyEvaluation,
  toyOptions,
  toyTrained,
} from "../../support/toy_run.ts";

const IDENTITY = {
  config_hash: "a".repeat(64),
  base_model_hash: "b".repeat(64),
  dataset_fingerprint: "c".repeat(64),
  held_out_fingerprint: "d".repeat(64),
  adapter_digest: null,
};

/**
 * Begins or resumes the toy run in a folder.
 *
 * @param abortAt Request of the training during which the signal fires; never when absent.
 * @returns Requests that the training made, and whether it was interrupted.
 */
async function trainIn(folder: string, method: string, abortAt = Infinity) {
  const { engine, fake } = await openFakeEngine();
  await createToy(engine, method);
  const trained = toyTrained(method);
  const options = toyOptions(method);
  const fail = (message: string) => assert.fail(message);
  const checkpoint = await loadNewestCheckpoint(denoFiles, folder, { onWarning: fail });
  let position = startPosition();
  if (checkpoint === null) await attachToyDeltas(engine, method);
  else position = await restoreRun(engine, trained, checkpoint, options);

  const controller = new AbortController();
  let requests = 0;
  fake.intercept = () => {
    if (requests++ === abortAt) controller.abort();
    return undefined;
  };
  const parts = {
    engine,
    trained,
    files: denoFiles,
    folder,
    identity: IDENTITY,
    precision: "f32" as const,
    keep: 2,
    onWarning: fail,
  };
  const trainer = new Trainer(
    {
      engine,
      batches: TOY_BATCHES,
      evaluate: toyEvaluation(engine),
      save: (position) => saveRun(parts, position),
      signal: controller.signal,
    },
    options,
    position,
  );
  let interrupted = false;
  try {
    await trainer.run();
  } catch (error) {
    if (!(error instanceof SpielError) || error.kind !== "interrupted") throw error;
    interrupted = true;
  }
  await engine.close();
  return { requests, interrupted };
}

/** Every file under a folder with its bytes. */
function contents(folder: string, prefix = ""): Map<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    if (isDirectory) {
      for (const [path, bytes] of contents(`${folder}/${name}`, `${prefix}${name}/`)) {
        found.set(path, bytes);
      }
    } else found.set(prefix + name, Deno.readFileSync(`${folder}/${name}`));
  }
  return new Map([...found].sort(([a], [b]) => a < b ? -1 : 1));
}

/** The checkpoint of the last step; which earlier ones remain depends on where the run was cut. */
function last(folder: string): Map<string, Uint8Array> {
  return contents(`${folder}/checkpoints/step-00000014`);
}

for (const method of ["spiel-ag", "spiel-ma"]) {
  Deno.test(`resume: ${method} is bitwise the same, interrupted in any request`, async () => {
    const root = Deno.makeTempDirSync();
    try {
      const whole = await trainIn(`${root}/whole`, method);
      assert.equal(whole.interrupted, false);
      const expected = last(`${root}/whole`);
      assert.ok(expected.size >= 4);
      // Requests of the last save are behind the last point at which a run can be cut.
      let cuts = 0;
      for (let request = 0; request < whole.requests; request++) {
        const folder = `${root}/cut-${request}`;
        const { interrupted } = await trainIn(folder, method, request);
        if (interrupted) {
          cuts++;
          assert.equal((await trainIn(folder, method)).interrupted, false);
        }
        assert.deepEqual(last(folder), expected, `cut in request ${request}`);
        Deno.removeSync(folder, { recursive: true });
      }
      assert.ok(cuts > 60, `${cuts} cuts`);
    } finally {
      Deno.removeSync(root, { recursive: true });
    }
  });

  Deno.test(`resume: ${method} is bitwise the same after being interrupted at every step`, async () => {
    const root = Deno.makeTempDirSync();
    try {
      await trainIn(`${root}/whole`, method);
      let sessions = 1;
      while ((await trainIn(`${root}/cut`, method, 6)).interrupted) sessions++;
      assert.ok(sessions >= 5, `${sessions} sessions`);
      assert.deepEqual(last(`${root}/cut`), last(`${root}/whole`));
    } finally {
      Deno.removeSync(root, { recursive: true });
    }
  });
}

Deno.test("resume: a finished run has nothing left to do", async () => {
  const folder = Deno.makeTempDirSync();
  try {
    await trainIn(folder, "spiel-ag");
    const before = contents(folder);
    const again = await trainIn(folder, "spiel-ag");
    assert.equal(again.requests, 0);
    assert.deepEqual(contents(folder), before);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
