/** A stop at once leaves nothing half written, and takes nothing that was there before. */

import assert from "node:assert/strict";
import { unfinished } from "../../cli/unfinished.ts";
import { withTempDir } from "../support/temp_dir.ts";

Deno.test("what was written since is removed, and only that", async () => {
  await withTempDir((folder) => {
    const names = () => [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
    const write = (name: string) => {
      Deno.mkdirSync(`${folder}/${name}`);
      Deno.writeTextFileSync(`${folder}/${name}/config.json`, "{}");
    };
    write("tmp-theirs");
    write("ours");
    const removals = ["ours", "theirs", "never"].map((name) => unfinished(`${folder}/${name}`));
    write("tmp-ours");
    for (const remove of removals) remove();
    assert.deepEqual(names(), ["ours", "tmp-theirs"]);
  });
});
