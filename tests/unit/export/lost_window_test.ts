/** The warning that an exported GGUF file is read without its window. */
import assert from "node:assert/strict";
import { lostWindowWarning } from "../../../src/export/lost_window.ts";
import { tinyConfig } from "../../support/tiny_model.ts";

Deno.test("a window that is shorter than the longest text is lost in GGUF files", () => {
  const config = { ...tinyConfig("mistral"), max_position_embeddings: 64, sliding_window: 16 };
  assert.match(lostWindowWarning(config) ?? "", /more than 16 tokens/);
});

Deno.test("nothing is lost without a window, with one as long as any text, or where layers differ", () => {
  const config = { ...tinyConfig("mistral"), max_position_embeddings: 64 };
  const rope = { rope_theta: 10_000, rope_scaling: null };
  const layers = [{ rope, sliding_window: null }, { rope, sliding_window: 16 }];
  for (const more of [{ sliding_window: null }, { sliding_window: 64 }]) {
    assert.equal(lostWindowWarning({ ...config, ...more }), null);
  }
  assert.equal(lostWindowWarning({ ...config, sliding_window: 16, layers }), null);
});
