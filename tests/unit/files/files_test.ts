/** The file layer: durable writes, locks, error words, and that a publication is whole or absent. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { SpielError } from "../../../src/errors.ts";
import { denoFiles, storageError, systemCode, writeDurably } from "../../../src/io/files.ts";
import { publishFile, publishFolder, recoverReplaced } from "../../../src/io/publish.ts";
import { indexOfNonFinite } from "../../../src/io/finite.ts";
import { canonicalJson } from "../../../src/io/canonical_json.ts";
import { FaultyFiles } from "../../support/faulty_files.ts";
import { withTempDir } from "../../support/temp_dir.ts";

const text = (value: string) => new TextEncoder().encode(value);

Deno.test("a durable write survives short writes", () =>
  withTempDir(async (dir) => {
    using files = new FaultyFiles(denoFiles);
    files.maxWriteBytes = 7;
    const content = Uint8Array.from({ length: 1000 }, (_, index) => index % 251);
    await writeDurably(files, join(dir, "a"), content);
    assert.deepEqual(await denoFiles.read(join(dir, "a")), content);
    assert.equal(files.calls.filter((call) => call === "write").length, Math.ceil(1000 / 7));
    assert.equal(files.calls.at(-1), "sync");
  }));

Deno.test("a full device is reported with its code and in words", async () => {
  const error = await writeDurably(denoFiles, "/dev/full", text("x")).then(
    () => assert.fail("must fail"),
    (error) => error,
  );
  assert.equal(systemCode(error), "ENOSPC");
  const shown = storageError('Cannot save "x"', error);
  assert.ok(shown instanceof SpielError);
  assert.equal(shown.kind, "storage");
  assert.match(shown.message, /^Cannot save "x": no space left on the device/);
  assert.equal(shown.cause, error);
});

Deno.test("a refused permission is of the environment, and its flag is named", () => {
  const cause = new Deno.errors.NotCapable('Requires write access to "/a/b", run again');
  const { kind, message } = storageError('Cannot save "x"', cause);
  assert.equal(kind, "environment");
  assert.equal(message, 'Cannot save "x": add --allow-write=/a/b to the deno command');
});

Deno.test("an error that is already for people keeps its kind", () => {
  const error = new SpielError("numeric", "element 3 is not finite");
  assert.equal(storageError("Cannot save", error), error);
});

Deno.test("list, status and remove", () =>
  withTempDir(async (dir) => {
    await denoFiles.makeFolder(join(dir, "b", "c"));
    await writeDurably(denoFiles, join(dir, "a"), text("four"));
    assert.deepEqual(await denoFiles.list(dir), [
      { name: "a", isFolder: false },
      { name: "b", isFolder: true },
    ]);
    assert.deepEqual(await denoFiles.status(join(dir, "a")), { isFolder: false, size: 4 });
    assert.equal(await denoFiles.status(join(dir, "missing")), null);
    await denoFiles.remove(join(dir, "b"));
    await denoFiles.remove(join(dir, "b"));
    assert.equal(await denoFiles.status(join(dir, "b")), null);
  }));

Deno.test("a lock is exclusive until released", () =>
  withTempDir(async (dir) => {
    const path = join(dir, "lock");
    const held = await denoFiles.lock(path);
    assert.ok(held);
    assert.equal(await denoFiles.lock(path), null);
    held.release();
    const again = await denoFiles.lock(path);
    assert.ok(again);
    again.release();
  }));

const version = (value: string) => [
  { name: "one", content: () => text(value) },
  { name: "two", content: () => text(value) },
];

async function readVersion(dir: string): Promise<string> {
  const [one, two] = await Promise.all(
    ["one", "two"].map(async (name) =>
      new TextDecoder().decode(await denoFiles.read(join(dir, "out", name)))
    ),
  );
  assert.equal(one, two, "a mixture of two versions");
  return one!;
}

/** Number of file calls of one replacement of a published folder. */
async function countCalls(): Promise<number> {
  return await withTempDir(async (dir) => {
    using files = new FaultyFiles(denoFiles);
    await publishFolder(denoFiles, dir, "out", version("old"));
    await publishFolder(files, dir, "out", version("new"));
    return files.calls.length;
  });
}

Deno.test("what is not of the same kind is neither replaced nor cleared", async () => {
  for (const name of ["out", "tmp-out", "replaced-out"]) {
    for (
      const [path, what] of [[`${name}/thesis`, "holds other things (thesis …)"], [
        name,
        "is a file",
      ]]
    ) {
      await withTempDir(async (dir) => {
        if (path !== name) Deno.mkdirSync(join(dir, name));
        Deno.writeTextFileSync(join(dir, path!), "dear");
        await assert.rejects(publishFolder(denoFiles, dir, "out", version("new")), {
          kind: "storage",
          message: `"${
            join(dir, name)
          }" ${what}, which would be lost; move it elsewhere and try again`,
        });
        assert.equal(Deno.readTextFileSync(join(dir, path!)), "dear");
        assert.deepEqual([...Deno.readDirSync(dir)].map((entry) => entry.name), [name]);
      });
    }
  }
});

Deno.test("an empty folder is filled", () =>
  withTempDir(async (dir) => {
    Deno.mkdirSync(join(dir, "out"));
    await publishFolder(denoFiles, dir, "out", version("new"));
    assert.equal(await readVersion(dir), "new");
  }));

Deno.test("replacing a folder: killed at any call, the old or the new is there whole", async () => {
  const calls = await countCalls();
  assert.ok(calls >= 15);
  const seen = new Set<string>();
  for (let at = 0; at < calls; at++) {
    for (const kind of ["kill-before", "kill-after"] as const) {
      for (const loss of [null, "contents", "everything"] as const) {
        await withTempDir(async (dir) => {
          await publishFolder(denoFiles, dir, "out", version("old"));
          using files = new FaultyFiles(denoFiles, { at, kind });
          await assert.rejects(publishFolder(files, dir, "out", version("new")));
          if (loss) files.losePower(loss);
          await recoverReplaced(denoFiles, dir, "out");
          seen.add(await readVersion(dir));
        });
      }
    }
  }
  assert.deepEqual([...seen].sort(), ["new", "old"]);
});

Deno.test("replacing a folder: any failing call leaves the old or the new, and no leftovers", async () => {
  const calls = await countCalls();
  for (let at = 0; at < calls; at++) {
    for (const code of ["EIO", "ENOSPC", "EDQUOT", "EACCES", "EROFS"]) {
      await withTempDir(async (dir) => {
        await publishFolder(denoFiles, dir, "out", version("old"));
        using files = new FaultyFiles(denoFiles, { at, kind: "error", code });
        await assert.rejects(publishFolder(files, dir, "out", version("new")), { code });
        await readVersion(dir);
        await publishFolder(files, dir, "out", version("newer"));
        assert.equal(await readVersion(dir), "newer");
        assert.deepEqual((await denoFiles.list(dir)).map(({ name }) => name), ["out"]);
      });
    }
  }
});

Deno.test("replacing a file: any failing call leaves the old or the new content", () =>
  withTempDir(async (dir) => {
    const path = join(dir, "config.json");
    await publishFile(denoFiles, path, text("old"));
    using counter = new FaultyFiles(denoFiles);
    await publishFile(counter, join(dir, "other"), text("x"));
    for (let at = 0; at < counter.calls.length; at++) {
      using files = new FaultyFiles(denoFiles, { at, kind: "error", code: "ENOSPC" });
      await assert.rejects(publishFile(files, path, text("new")), { code: "ENOSPC" });
      const left = new TextDecoder().decode(await denoFiles.read(path));
      assert.ok(left === "old" || (left === "new" && at === counter.calls.length - 1), left);
      await publishFile(denoFiles, path, text("old"));
    }
    assert.deepEqual((await denoFiles.list(dir)).map(({ name }) => name), ["config.json", "other"]);
  }));

Deno.test("non-finite values are found by their bits in every float type", () => {
  const f32 = new Uint8Array(new Float32Array([1, -2, 3.4e38, NaN]).buffer);
  assert.equal(indexOfNonFinite("F32", f32), 3);
  assert.equal(indexOfNonFinite("F32", f32.subarray(0, 12)), -1);
  const unaligned = new Uint8Array(17);
  unaligned.set(f32, 1);
  assert.equal(indexOfNonFinite("F32", unaligned.subarray(1)), 3);
  assert.equal(indexOfNonFinite("F64", new Uint8Array(new Float64Array([0, -Infinity]).buffer)), 1);
  assert.equal(
    indexOfNonFinite("BF16", new Uint8Array(new Uint16Array([0x7f7f, 0xff80]).buffer)),
    1,
  );
  assert.equal(
    indexOfNonFinite("F16", new Uint8Array(new Uint16Array([0x7bff, 0x7e00]).buffer)),
    1,
  );
  assert.equal(indexOfNonFinite("U32", new Uint8Array(new Uint32Array([0xffffffff]).buffer)), -1);
});

Deno.test("canonical JSON does not depend on the order of keys", () => {
  assert.equal(
    canonicalJson({ b: [{ d: 1, c: 2 }], a: null }),
    canonicalJson({ a: null, b: [{ c: 2, d: 1 }] }),
  );
  assert.equal(canonicalJson({ b: 1, a: 2 }), '{\n  "a": 2,\n  "b": 1\n}');
});
