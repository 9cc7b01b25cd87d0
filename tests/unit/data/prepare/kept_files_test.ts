/** Files that are kept open: read as often as one likes, never too many at a time, and closed at the end. */
import assert from "node:assert/strict";
import { KeptFiles } from "../../../../src/data/prepare/kept_files.ts";
import { assertRefuses } from "../../../support/refuses.ts";
import { withTempDir } from "../../../support/temp_dir.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

Deno.test("a file is opened once, until it is closed", () =>
  withTempDir((dir) => {
    const path = `${dir}/a`;
    Deno.writeTextFileSync(path, "abcdef");
    using kept = new KeptFiles();
    assert.equal(text(kept.read(path, 2, 3)), "cde");
    // What is open stays there for who has it open.
    if (Deno.build.os !== "windows") {
      Deno.removeSync(path);
      assert.equal(text(kept.read(path, 0, 2)), "ab");
    }
    Deno.writeTextFileSync(path, "ghi");
    kept[Symbol.dispose]();
    assert.equal(text(kept.read(path, 0, 3)), "ghi");
    Deno.removeSync(path);
    assertRefuses(() => kept.read(path, 0, 1), "data", path);
  }));

Deno.test("of many files those that were read last are open", () =>
  withTempDir((dir) => {
    using kept = new KeptFiles();
    const paths = Array.from({ length: 200 }, (_, i) => `${dir}/${i}`);
    for (const [i, path] of paths.entries()) {
      Deno.writeTextFileSync(path, String(i));
      kept.read(path, 0, 1);
      kept.read(paths[0]!, 0, 1);
    }
    if (Deno.build.os !== "linux") return;
    const open = [...Deno.readDirSync("/proc/self/fd")].flatMap(({ name }) => {
      try {
        return Deno.readLinkSync(`/proc/self/fd/${name}`);
      } catch {
        return [];
      }
    }).filter((path) => path.startsWith(dir));
    assert.equal(open.length, 64);
    assert.ok(open.includes(paths[0]!) && open.includes(paths[199]!) && open.includes(paths[137]!));
  }));
