/** The run folder: one run at a time, no run overwritten, what is written where. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { denoFiles } from "../../../src/io/files.ts";
import { RunFolder } from "../../../src/train/run_folder.ts";
import { FaultyFiles } from "../../support/faulty_files.ts";
import { withTempDir } from "../../support/temp_dir.ts";

const FRESH = { resume: false };
const RESUME = { resume: true };

Deno.test("a new folder is made, with parents, and may be empty beforehand", () =>
  withTempDir(async (dir) => {
    const path = join(dir, "runs", "a");
    {
      await using folder = await RunFolder.open(denoFiles, path, FRESH);
      assert.equal(folder.metricsPath, join(path, "metrics.jsonl"));
      assert.equal(folder.adapterPath, join(path, "adapter"));
    }
    await using again = await RunFolder.open(denoFiles, path, FRESH);
    assert.equal(again.path, path);
  }));

Deno.test("a run of which nothing came leaves nothing, but for folders that were there", () =>
  withTempDir(async (dir) => {
    const names = () => [...Deno.readDirSync(dir)].map(({ name }) => name);
    for (const options of [FRESH, RESUME]) {
      {
        await using _new = await RunFolder.open(denoFiles, join(dir, "runs", "deep", "a"), options);
      }
      assert.deepEqual(names(), []);
    }
    {
      await using _empty = await RunFolder.open(denoFiles, dir, FRESH);
    }
    assert.deepEqual(names(), []);
    {
      await using folder = await RunFolder.open(denoFiles, join(dir, "a"), FRESH);
      Deno.writeTextFileSync(join(folder.path, "notes.txt"), "somebody's own");
    }
    assert.deepEqual([...Deno.readDirSync(join(dir, "a"))].length, 2);
    {
      await using folder = await RunFolder.open(denoFiles, join(dir, "b"), FRESH);
      await folder.writeConfig(JSON.parse(RECORD));
    }
    assert.ok(Deno.statSync(join(dir, "b", "config.json")).isFile);
  }));

Deno.test("a lock on a file that its last holder removed is no lock", () =>
  withTempDir(async (dir) => {
    const path = join(dir, "run.lock");
    const meddling: typeof Deno.open = Deno.open;
    try {
      Deno.open = async (...args) => {
        const file = await meddling(...args);
        Deno.removeSync(path);
        return file;
      };
      assert.equal(await denoFiles.lock(path), null);
    } finally {
      Deno.open = meddling;
    }
    const lock = await denoFiles.lock(path);
    assert.ok(lock !== null);
    lock.release();
  }));

Deno.test("resuming where there is nothing is not an error", () =>
  withTempDir(async (dir) => {
    await using folder = await RunFolder.open(denoFiles, join(dir, "a"), RESUME);
    assert.ok(Deno.statSync(folder.path).isDirectory);
  }));

Deno.test("a second run is told that the folder is in use, until the first ends", () =>
  withTempDir(async (dir) => {
    {
      await using _first = await RunFolder.open(denoFiles, dir, FRESH);
      for (const options of [FRESH, RESUME]) {
        await assert.rejects(RunFolder.open(denoFiles, dir, options), {
          kind: "usage",
          message:
            `Run folder "${dir}" is in use by another run; wait for its end or choose another --out`,
        });
      }
    }
    await using _second = await RunFolder.open(denoFiles, dir, FRESH);
  }));

/** What a run records first. */
const RECORD = JSON.stringify({ lr: { value: 1e-3, origin: "flag" } });

Deno.test("a folder with a run is never overwritten, and is free again after the refusal", () =>
  withTempDir(async (dir) => {
    Deno.writeTextFileSync(join(dir, "config.json"), RECORD);
    Deno.writeTextFileSync(join(dir, "metrics.jsonl"), "");
    await assert.rejects(RunFolder.open(denoFiles, dir, FRESH), {
      kind: "usage",
      message: /already holds a run; go on with it by --resume or choose another --out$/,
    });
    await using resumed = await RunFolder.open(denoFiles, dir, RESUME);
    assert.deepEqual(resumed.record, JSON.parse(RECORD));
  }));

Deno.test("what a run leaves that ended before its record was whole is free for the next", () =>
  withTempDir(async (dir) => {
    Deno.writeTextFileSync(join(dir, "tmp-config.json"), RECORD.slice(0, 10));
    for (const options of [FRESH, RESUME, FRESH]) {
      await using folder = await RunFolder.open(denoFiles, dir, options);
      assert.equal(folder.path, dir);
    }
  }));

Deno.test("a folder with other things is refused, resumed or not, and stays as it is", async () => {
  const foreign: Record<string, string>[] = [
    { "thesis.txt": "" },
    // A model: its config.json is none of ours.
    { "config.json": '{"model_type":"llama","hidden_size":64}', "model.safetensors": "" },
    { "config.json": "{}" },
    { "config.json": "[]" },
    { "config.json": '{"lr":3}' },
    { "config.json": RECORD.slice(0, -1) },
    // The names of a run alone are no proof.
    { "metrics.jsonl": "", "run.lock": "" },
  ];
  for (const files of foreign) {
    await withTempDir(async (dir) => {
      for (const [name, text] of Object.entries(files)) {
        Deno.writeTextFileSync(join(dir, name), text);
      }
      const [first] = Object.keys(files);
      for (const options of [FRESH, RESUME]) {
        await assert.rejects(RunFolder.open(denoFiles, dir, options), {
          kind: "usage",
          message: `Run folder "${dir}" is not empty (${first} …) and ` +
            ("config.json" in files ? "its config.json is not that" : "has no config.json") +
            " of a run; choose another --out",
        });
      }
      const left = [...Deno.readDirSync(dir)].map(({ name }) => name).sort();
      assert.deepEqual(left, Object.keys(files).sort());
    });
  }
});

Deno.test("a file is no run folder", () =>
  withTempDir(async (dir) => {
    Deno.writeTextFileSync(join(dir, "thesis.txt"), "");
    await assert.rejects(RunFolder.open(denoFiles, join(dir, "thesis.txt"), RESUME), {
      kind: "usage",
      message: /thesis.txt" is a file; choose another --out$/,
    });
  }));

Deno.test("inputs in the folder that the run ends with are refused, by whatever name", () =>
  withTempDir(async (dir) => {
    await using folder = await RunFolder.open(denoFiles, join(dir, "run"), FRESH);
    Deno.mkdirSync(folder.modelPath);
    Deno.writeTextFileSync(join(folder.modelPath, "base.gguf"), "");
    Deno.symlinkSync(folder.modelPath, join(dir, "link"));
    Deno.mkdirSync(join(dir, "run", "model-2"));
    const inputs = [folder.modelPath, join(folder.modelPath, "base.gguf"), join(dir, "link")];
    for (const input of inputs) {
      assert.throws(() => folder.refuseInputsIn(folder.modelPath, [dir, input]), {
        kind: "usage",
        message: `The run would replace "${input}", which it is made from, by its result ` +
          `"${folder.modelPath}"; choose another --out`,
      });
    }
    folder.refuseInputsIn(folder.modelPath, [dir, join(dir, "run", "model-2"), "org/name"]);
    folder.refuseInputsIn(folder.adapterPath, inputs);
  }));

Deno.test("config.json holds each value with its origin, and report.html is written whole", () =>
  withTempDir(async (dir) => {
    await using folder = await RunFolder.open(denoFiles, dir, FRESH);
    const config = { lr: { value: 1e-3, origin: "flag" }, seed: { value: 0, origin: "default" } };
    await folder.writeConfig(config);
    await folder.writeReport("<!doctype html>");
    assert.deepEqual(JSON.parse(Deno.readTextFileSync(folder.configPath)), config);
    assert.equal(Deno.readTextFileSync(folder.reportPath), "<!doctype html>");
  }));

Deno.test("a disk that fails at any call is a storage error", async () => {
  using counter = new FaultyFiles(denoFiles);
  let calls = 0;
  await withTempDir(async (dir) => {
    await using _folder = await RunFolder.open(counter, join(dir, "a"), FRESH);
    calls = counter.calls.length;
  });
  for (let at = 0; at < calls; at++) {
    await withTempDir(async (dir) => {
      using files = new FaultyFiles(denoFiles, { at, kind: "error", code: "EROFS" });
      await assert.rejects(RunFolder.open(files, join(dir, "a"), FRESH), {
        kind: "storage",
        message: /^Cannot open run folder ".*": the file system is read-only$/,
      });
    });
  }
});
