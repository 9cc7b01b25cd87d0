/** Every file call of a save and of a load fails or kills once: nothing torn is ever loaded. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { loadNewestCheckpoint, saveCheckpoint } from "../../../src/checkpoint/checkpoint.ts";
import { SpielError } from "../../../src/errors.ts";
import { denoFiles, type Files } from "../../../src/io/files.ts";
import { checkpointOf, contentOf } from "../../support/checkpoints.ts";
import { FaultyFiles } from "../../support/faulty_files.ts";
import { withTempDir } from "../../support/temp_dir.ts";

const CODES = ["EIO", "ENOSPC", "EDQUOT", "EACCES", "EROFS", "EMFILE"];
const KEEP = 2;

const save = (files: Files, dir: string, step: number) =>
  saveCheckpoint(files, dir, checkpointOf(step), { keep: KEEP });

/** A run with checkpoints of steps 1 and 2, so that saving step 3 also prunes. */
async function withRun(use: (dir: string) => Promise<void>): Promise<void> {
  await withTempDir(async (dir) => {
    await save(denoFiles, dir, 1);
    await save(denoFiles, dir, 2);
    await use(dir);
  });
}

/** Calls of one save over such a run. */
async function callsOfSave(): Promise<readonly string[]> {
  let calls: readonly string[] = [];
  await withRun(async (dir) => {
    using files = new FaultyFiles(denoFiles);
    await save(files, dir, 3);
    calls = files.calls;
  });
  return calls;
}

/** The step that loads, after checking that all its content is as saved. */
async function loadedStep(dir: string): Promise<number> {
  const warnings: string[] = [];
  const loaded = await loadNewestCheckpoint(denoFiles, dir, {
    onWarning: (message) => void warnings.push(message),
  });
  assert.ok(loaded);
  assert.deepEqual(warnings, [], "an interruption is not damage");
  await withTempDir(async (fresh) => {
    await save(denoFiles, fresh, loaded.state.step);
    const expected = await loadNewestCheckpoint(denoFiles, fresh);
    assert.deepEqual(contentOf(loaded), contentOf(expected!));
  });
  return loaded.state.step;
}

function leftovers(dir: string): string[] {
  return [...Deno.readDirSync(join(dir, "checkpoints"))]
    .map(({ name }) => name)
    .filter((name) => !name.startsWith("step-"));
}

Deno.test("killed before or after any call of a save, with or without power loss", async () => {
  const calls = await callsOfSave();
  assert.ok(calls.length >= 30, `${calls.length} calls`);
  const published = calls.lastIndexOf("syncFolder");
  for (let at = 0; at < calls.length; at++) {
    for (const kind of ["kill-before", "kill-after"] as const) {
      for (const loss of [null, "contents", "everything"] as const) {
        await withRun(async (dir) => {
          using files = new FaultyFiles(denoFiles, { at, kind });
          await save(files, dir, 3).catch(() => {});
          if (loss) files.losePower(loss);
          const step = await loadedStep(dir);
          const mustBeNew = at > published || (at === published && kind === "kill-after");
          assert.ok(step === 3 || (step === 2 && !mustBeNew), `call ${at} ${kind}: step ${step}`);
          assert.deepEqual(leftovers(dir), []);
          await save(denoFiles, dir, 4);
          assert.equal(await loadedStep(dir), 4);
        });
      }
    }
  }
});

Deno.test("killed at any call of a run's first save: nothing, or the whole of it", async () => {
  using counter = new FaultyFiles(denoFiles);
  await withTempDir((dir) => save(counter, dir, 1));
  for (let at = 0; at < counter.calls.length; at++) {
    for (const loss of [null, "contents", "everything"] as const) {
      await withTempDir(async (dir) => {
        using files = new FaultyFiles(denoFiles, { at, kind: "kill-before" });
        await save(files, dir, 1).catch(() => {});
        if (loss) files.losePower(loss);
        const loaded = await loadNewestCheckpoint(denoFiles, dir, { onWarning: assert.fail });
        if (loaded) assert.equal(loaded.state.step, 1);
      });
    }
  }
});

Deno.test("killed at any call while a step's checkpoint is saved again", async () => {
  using counter = new FaultyFiles(denoFiles);
  await withRun(async (dir) => void await save(counter, dir, 2));
  for (let at = 0; at < counter.calls.length; at++) {
    for (const kind of ["kill-before", "kill-after"] as const) {
      for (const loss of [null, "contents", "everything"] as const) {
        await withRun(async (dir) => {
          using files = new FaultyFiles(denoFiles, { at, kind });
          await save(files, dir, 2).catch(() => {});
          if (loss) files.losePower(loss);
          assert.equal(await loadedStep(dir), 2);
          assert.deepEqual(leftovers(dir), []);
        });
      }
    }
  }
});

Deno.test("every error at every call of a save: a storage error or a warning, and nothing torn", async () => {
  const calls = await callsOfSave();
  const published = calls.lastIndexOf("syncFolder");
  for (let at = 0; at < calls.length; at++) {
    for (const code of CODES) {
      await withRun(async (dir) => {
        using files = new FaultyFiles(denoFiles, { at, kind: "error", code });
        const warnings: string[] = [];
        // Slow listeners are waited for.
        const onWarning = async (message: string) => {
          await new Promise((resolve) => setTimeout(resolve, 0));
          warnings.push(message);
        };
        const failure = await saveCheckpoint(files, dir, checkpointOf(3), { keep: KEEP, onWarning })
          .then(() => null, (error) => error);
        if (failure) {
          assert.ok(failure instanceof SpielError, String(failure));
          assert.equal(failure.kind, "storage");
          assert.match(failure.message, /^Cannot save checkpoint ".*step-00000003": /);
        } else {
          assert.equal(warnings.length, 1, `call ${at}`);
          assert.ok(at > published);
        }
        const step = await loadedStep(dir);
        assert.ok(step === 3 || (failure && step === 2));
        await save(denoFiles, dir, 4);
        assert.equal(await loadedStep(dir), 4);
      });
    }
  }
});

Deno.test("short writes do not change a byte", () =>
  withTempDir(async (dir) => {
    using files = new FaultyFiles(denoFiles);
    files.maxWriteBytes = 13;
    await save(files, dir, 3);
    assert.equal(await loadedStep(dir), 3);
  }));

Deno.test("a failed sync fails the save, and the file is not synced again", async () => {
  for (let at = 0; at < 5; at++) {
    await withRun(async (dir) => {
      using files = new FaultyFiles(denoFiles, { at, kind: "error", code: "EIO", call: "sync" });
      await assert.rejects(save(files, dir, 3), { kind: "storage" });
      assert.equal(files.calls.filter((call) => call === "sync").length, at + 1);
      assert.equal(await loadedStep(dir), 2);
    });
  }
});

Deno.test("every error at every call of a load: an older checkpoint only for unreadable data", async () => {
  let calls = 0;
  await withRun(async (dir) => {
    using files = new FaultyFiles(denoFiles);
    await loadNewestCheckpoint(files, dir);
    calls = files.calls.length;
  });
  for (let at = 0; at < calls; at++) {
    for (const code of CODES) {
      await withRun(async (dir) => {
        using files = new FaultyFiles(denoFiles, { at, kind: "error", code });
        const outcome = await loadNewestCheckpoint(files, dir)
          .then((loaded) => loaded!.state.step, (error) => error);
        if (files.calls[at] === "read" && code === "EIO") {
          assert.equal(outcome, 1);
        } else {
          assert.ok(outcome instanceof SpielError && outcome.kind === "storage", String(outcome));
          assert.equal(await loadedStep(dir), 2);
        }
      });
    }
  }
});
