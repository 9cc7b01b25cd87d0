/** Which differences from a reference's selection are forgiven: those at the cut, and no others. */

import assert from "node:assert/strict";
import { compareSelections, CUT_MARGIN } from "../../support/selection_cut.ts";

const SCORES = [0.1, 0.2, 0.3, 0.3 * (1 + CUT_MARGIN / 2), 0.3 * (1 + 3 * CUT_MARGIN), 0.5];
const scoreOf = (position: number) => SCORES[position];

Deno.test("selections that agree differ nowhere", () => {
  const selection = { chosen: [2, 0, 1], keeps: "smallest", scoreOf } as const;
  assert.deepEqual(compareSelections([0, 1, 2], selection), { atCut: [], elsewhere: [] });
});

Deno.test("a swap of two scores at the cut is told apart from one across it", () => {
  const smallest = { chosen: [0, 1, 2], keeps: "smallest", scoreOf } as const;
  assert.deepEqual(compareSelections([0, 1, 3], smallest), { atCut: [3, 2], elsewhere: [] });
  assert.deepEqual(compareSelections([0, 1, 4], smallest), { atCut: [2], elsewhere: [4] });

  const largest = { chosen: [5, 4, 3], keeps: "largest", scoreOf } as const;
  assert.deepEqual(compareSelections([5, 4, 2], largest), { atCut: [2, 3], elsewhere: [] });
  assert.deepEqual(compareSelections([5, 3, 1], largest), { atCut: [], elsewhere: [1, 4] });
});

Deno.test("a position that the reference gave no score is at no cut", () => {
  const selection = { chosen: [0], keeps: "smallest", scoreOf } as const;
  assert.deepEqual(compareSelections([9], selection), { atCut: [0], elsewhere: [9] });
});
