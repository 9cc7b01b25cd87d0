/** SpIEL-AG: grows where the gradient, summed over a window at the candidates, is largest. */

import type { Growth } from "./criterion.ts";

/** Needs a dense gradient once per window and matrix, to pick the candidates; AdamW's moments are seeded from the window. */
export const accumulatedGradients: Growth = {
  method: "spiel-ag",
  criterion: "accumulatedGradients",
  optimizer: "adamw",
  needsWindow: true,
  selectionAlgorithm: "rigl",
};
