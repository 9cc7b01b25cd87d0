/** A model that stays open and answers one prompt after another. */

import assert from "node:assert/strict";
import { openResponder } from "../../src/generate/generate_text.ts";
import { HOSTED_DEVICES } from "../support/hosts.ts";

const MODEL = decodeURIComponent(new URL("../../examples/demo/model", import.meta.url).pathname);

for (const { name, ignore, host, device } of HOSTED_DEVICES) {
  Deno.test(`responder: answers do not mix (${name})`, { ignore }, async () => {
    await using responder = await openResponder({ model: MODEL, host, device });
    const ask = (prompt: string) => responder.answer({ prompt, raw: true, maxNewTokens: 8 });
    const whole = (await Array.fromAsync(ask("What is 3 plus 4?"))).join("");

    const first = ask("What is 3 plus 4?");
    const begun = (await first.next()).value;
    assert.ok(begun !== undefined);
    await assert.rejects(() => ask("Spell cat.").next(), {
      kind: "usage",
      message: /gives another answer/,
    });
    const rest = await Array.fromAsync(first);
    assert.equal([begun, ...rest].join(""), whole);

    // A reader that leaves ends its answer.
    for await (const _ of ask("Spell cat.")) break;
    assert.equal((await Array.fromAsync(ask("What is 3 plus 4?"))).join(""), whole);
  });
}

Deno.test("responder: weights are opened once", async () => {
  const opened: unknown[] = [];
  const openSync = Deno.openSync;
  Deno.openSync = (path, options) => {
    opened.push(path);
    return openSync(path, options);
  };
  try {
    await using _ = await openResponder({ model: MODEL, host: "wasm", device: "cpu" });
  } finally {
    Deno.openSync = openSync;
  }
  assert.equal(opened.filter((path) => path === `${MODEL}/model.safetensors`).length, 1);
});
