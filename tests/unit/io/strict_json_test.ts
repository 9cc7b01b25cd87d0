/** JSON that `JSON.parse` lets through: how deep it nests. */
import assert from "node:assert/strict";
import { nestsDeeper } from "../../../src/io/strict_json.ts";

Deno.test("how deep JSON nests, whatever its texts say", () => {
  assert.ok(!nestsDeeper('{"a":[1,{"b":[]}],"c":[[]]}', 4));
  assert.ok(nestsDeeper('{"a":[1,{"b":[]}],"c":[[]]}', 3));
  assert.ok(!nestsDeeper('{"[[[[":"{{{{\\"[[["}', 1));
  assert.ok(!nestsDeeper("[[],[],[],{}]", 2));
});
