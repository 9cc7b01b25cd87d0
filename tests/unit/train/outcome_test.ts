/** Which results are worse than the untrained model, and how that is said. */

import assert from "node:assert/strict";
import { worseThanUntrained } from "../../../src/train/outcome.ts";

Deno.test("outcome: a higher loss than before training is said with what was best", () => {
  const [before, after] = [{ loss: 1.5 }, { loss: 2 }];
  assert.equal(
    worseThanUntrained(before, after, { step: 0, loss: 1.5 }),
    "The result is worse than the untrained model: held-out loss 1.5000 before training, 2.0000 now; " +
      "no evaluation was better than the untrained model's; try a lower learning rate or fewer steps",
  );
  assert.match(
    worseThanUntrained(before, after, { step: 8, loss: 1.25 }) ?? "",
    /; it was best at step 8, 1\.2500; try/,
  );
});

Deno.test("outcome: a result that is no worse, or that nothing was measured of, is left alone", () => {
  const best = { step: 4, loss: 1 };
  assert.equal(worseThanUntrained({ loss: 2 }, { loss: 1 }, best), null);
  assert.equal(worseThanUntrained({ loss: 2 }, { loss: 2 }, best), null);
  assert.equal(worseThanUntrained(undefined, { loss: 2 }, best), null);
  assert.equal(worseThanUntrained({ loss: 2 }, undefined, null), null);
  const answers = [{ loss: 2, exactMatch: 0.1 }, { loss: 3, exactMatch: 0.9 }] as const;
  assert.equal(worseThanUntrained(...answers, best), null);
});
