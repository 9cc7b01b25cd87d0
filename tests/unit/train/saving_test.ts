/** What is said of a run's checkpoints when it ends early. */

import assert from "node:assert/strict";
import { SpielError, type SpielErrorKind } from "../../../src/errors.ts";
import { withWhatIsKept } from "../../../src/train/saving.ts";

const WAYS: [kind: SpielErrorKind, words: string][] = [
  ["numeric", "; the checkpoint of step 6 is kept"],
  [
    "storage",
    "; the checkpoint of step 6 is kept, and the same command with --resume goes on from there",
  ],
  [
    "device",
    "; the checkpoint of step 6 is kept, and the same command with --resume goes on from there",
  ],
];

for (const [kind, words] of WAYS) {
  Deno.test(`an error of kind ${kind} tells which checkpoint is kept, if there is one`, () => {
    const error = new SpielError(kind, "It broke");
    const told = withWhatIsKept(error, 6);
    assert.ok(told instanceof SpielError);
    assert.deepEqual([told.kind, told.message], [kind, `It broke${words}`]);
    assert.equal(told.cause, error);
    assert.equal(withWhatIsKept(error, null), error);
  });
}

Deno.test("errors that cost no steps stay as they are", () => {
  for (const error of [new SpielError("interrupted", "Stopped"), new TypeError("A fault")]) {
    assert.equal(withWhatIsKept(error, 6), error);
  }
});
