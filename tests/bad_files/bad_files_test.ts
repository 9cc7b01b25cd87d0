/** Bad model, tokenizer, adapter and data files: each refused in a sentence with file, field and reason, at once and in little memory. */

import assert from "node:assert/strict";
import { FAMILIES } from "./families.ts";
import type { Refusal } from "./refuse_all.ts";

const LEAST_KINDS = 100;
const MOST_SECONDS = 2;
const MOST_BYTES = 64 << 20;

/** Where the system does not tell the most memory held. */
const TELLS_MEMORY = Deno.build.os === "linux";

/** What becomes of a family's kinds, in a process of its own: memory that other files took cannot hide what these take. */
async function refuseAll(family: string): Promise<Refusal[]> {
  const script = decodeURIComponent(new URL("refuse_all.ts", import.meta.url).pathname);
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-check", "-A", "--v8-flags=--expose-gc", script, family],
    env: { NO_COLOR: "1" },
    stdout: "null",
    stderr: "piped",
  }).output();
  const text = new TextDecoder().decode(stderr);
  assert.ok(success, text);
  return text.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
}

Deno.test("bad files", async (t) => {
  const refusals: Refusal[] = [];
  for (const { name } of FAMILIES) refusals.push(...await refuseAll(name));
  const kinds = FAMILIES.flatMap(({ name: family, kinds }) =>
    kinds.map(([title, , ...words]) => ({ family, title, words }))
  );
  assert.ok(kinds.length >= LEAST_KINDS, `${kinds.length} kinds`);
  assert.equal(refusals.length, kinds.length + FAMILIES.length);
  await t.step("good files are accepted", () => {
    for (const { family, title, code, message } of refusals) {
      if (title === "") assert.equal(code, 0, `${family}: ${message}`);
    }
  });
  for (const { family, title, words } of kinds) {
    await t.step(`${family}: ${title}`, () => {
      const found = refusals.find((one) => one.family === family && one.title === title);
      assert.ok(found !== undefined, "it was not tried");
      assert.equal(found.code, 65, found.message);
      assert.match(found.message, /^error: \P{Cc}+(\n {2}- \P{Cc}+)*$/u);
      for (const word of words) assert.match(found.message, word);
      assert.ok(found.seconds < MOST_SECONDS, `${found.seconds} s`);
      assert.equal(found.bytes !== null, TELLS_MEMORY);
      assert.ok((found.bytes ?? 0) < MOST_BYTES, `${found.bytes} bytes over the idle process`);
    });
  }
});
