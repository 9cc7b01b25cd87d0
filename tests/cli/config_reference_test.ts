/** The generated reference and JSON Schema are current. */

import assert from "node:assert/strict";
import { GENERATED } from "../../tools/gen_config_reference.ts";

for (const [path, content] of Object.entries(GENERATED)) {
  Deno.test(`${path} is what tools/gen_config_reference.ts writes`, async () => {
    const written = await Deno.readTextFile(new URL(`../../${path}`, import.meta.url));
    assert.equal(written, content());
  });
}
