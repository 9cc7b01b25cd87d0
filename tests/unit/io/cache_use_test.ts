/** The cache: what nobody has used for long goes, and nothing while it is in use. */
import assert from "node:assert/strict";
import { removeAbandoned } from "../../../src/io/abandoned.ts";
import { noteUse, useCache } from "../../../src/io/cache_use.ts";
import { denoFiles } from "../../../src/io/files.ts";
import { TEMPORARY_PREFIX } from "../../../src/io/publish.ts";
import { assertRejects } from "../../support/refuses.ts";
import { withTempDir } from "../../support/temp_dir.ts";

const DAY_MS = 24 * 3_600_000;

/** Makes a folder of shards and an unpacked file, and another download, that were used so many days ago. */
function fill(root: string, name: string, days: number): void {
  for (const folder of ["tokens", "unpacked", "urls"]) {
    Deno.mkdirSync(`${root}/${folder}`, { recursive: true });
  }
  Deno.mkdirSync(`${root}/tokens/${name}`);
  Deno.writeTextFileSync(`${root}/tokens/${name}/shard`, "s");
  Deno.writeTextFileSync(`${root}/unpacked/${name}`, "u");
  Deno.mkdirSync(`${root}/urls/${name}`);
  const then = new Date(Date.now() - days * DAY_MS);
  for (const folder of ["tokens", "unpacked", "urls"]) {
    Deno.utimeSync(`${root}/${folder}/${name}`, then, then);
  }
}

/** What is there of tokens, unpacked files and downloads. */
const left = (root: string) =>
  ["tokens", "unpacked", "urls"].map((folder) =>
    [...Deno.readDirSync(`${root}/${folder}`)].map(({ name }) => name).sort().join()
  );

Deno.test("what was not used for 30 days is removed, but for downloads", () =>
  withTempDir(async (root) => {
    fill(root, "old", 31);
    fill(root, "young", 29);
    using _use = await useCache(denoFiles, root);
    assert.deepEqual(left(root), ["young", "young", "old,young"]);
  }));

Deno.test("a use counts from the day that it is noted", () =>
  withTempDir(async (root) => {
    fill(root, "old", 31);
    const { mtime } = Deno.statSync(`${root}/tokens/old`);
    noteUse(`${root}/tokens/old`);
    assert.deepEqual(Deno.statSync(`${root}/tokens/old`).mtime, mtime);
    using _use = await useCache(denoFiles, root);
    assert.deepEqual(left(root), ["old", "", "old"]);
  }));

Deno.test("nothing is removed while a program uses the cache, and several may", () =>
  withTempDir(async (root) => {
    const first = await useCache(denoFiles, root);
    fill(root, "old", 31);
    const second = await useCache(denoFiles, root);
    assert.equal(left(root)[0], "old");
    first[Symbol.dispose]();
    (await useCache(denoFiles, root))[Symbol.dispose]();
    assert.equal(left(root)[0], "old");
    second[Symbol.dispose]();
    (await useCache(denoFiles, root))[Symbol.dispose]();
    assert.equal(left(root)[0], "");
  }));

Deno.test("a use waits for a program that removes something", () =>
  withTempDir(async (root) => {
    const removing = await denoFiles.lock(`${root}/in_use.lock`);
    let isUsed = false;
    const use = useCache(denoFiles, root).then((use) => {
      isUsed = true;
      return use;
    });
    await new Promise((resolve) => setTimeout(resolve, 120));
    assert.equal(isUsed, false);
    removing!.release();
    (await use)[Symbol.dispose]();
  }));

Deno.test("a wait for the cache can be stopped", () =>
  withTempDir(async (root) => {
    const removing = await denoFiles.lock(`${root}/in_use.lock`);
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 20);
    await assertRejects(() => useCache(denoFiles, root, stop.signal), "interrupted", "the cache");
    removing!.release();
  }));

Deno.test("on a disk without locks nothing is removed, and all is used", () =>
  withTempDir(async (root) => {
    fill(root, "old", 31);
    const files = { ...denoFiles, lock: () => Promise.reject(new Deno.errors.NotSupported("")) };
    using _use = await useCache(files, root);
    assert.equal(left(root)[0], "old");
  }));

Deno.test("what goes while the cache is looked through is no failure", () =>
  withTempDir(async (root) => {
    fill(root, "old", 31);
    const files = {
      ...denoFiles,
      list: async (folder: string) => {
        const entries = await denoFiles.list(folder);
        await denoFiles.rename(`${folder}/old`, `${folder}/new`);
        return entries;
      },
    };
    using _use = await useCache(files, root);
    assert.deepEqual(left(root), ["new", "new", "old"]);
  }));

Deno.test("who may only read the cache shares its lock all the same", () =>
  withTempDir(async (root) => {
    const path = `${root}/in_use.lock`;
    (await denoFiles.lock(path))!.release();
    const { open } = Deno;
    Deno.open = (path, options) =>
      options?.write
        ? Promise.reject(Object.assign(new Deno.errors.PermissionDenied(), { code: "EACCES" }))
        : open(path, options);
    try {
      await assert.rejects(denoFiles.lock(path), Deno.errors.PermissionDenied);
      using _use = await useCache(denoFiles, root);
      Deno.open = open;
      assert.equal(await denoFiles.lock(path), null);
    } finally {
      Deno.open = open;
    }
  }));

Deno.test("what a killed program has left goes, but for what may not be removed", () =>
  withTempDir(async (root) => {
    const then = new Date(Date.now() - 2 * 3_600_000);
    for (const name of ["a", "b"]) {
      Deno.writeTextFileSync(`${root}/${TEMPORARY_PREFIX}${name}`, "");
      Deno.utimeSync(`${root}/${TEMPORARY_PREFIX}${name}`, then, then);
    }
    const remove = (path: string) =>
      path.endsWith("a")
        ? Promise.reject(new Deno.errors.PermissionDenied())
        : denoFiles.remove(path);
    await removeAbandoned({ ...denoFiles, remove }, root);
    assert.deepEqual([...Deno.readDirSync(root)].map(({ name }) => name), [`${TEMPORARY_PREFIX}a`]);
  }));
