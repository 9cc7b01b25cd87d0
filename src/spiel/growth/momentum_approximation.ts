/** SpIEL-MA: grows where the product of SM3's row and column accumulators is largest. */

import type { Growth } from "./criterion.ts";

/** Never needs a dense gradient. Products tie by construction; the lower flat index comes first. */
export const momentumApproximation: Growth = {
  method: "spiel-ma",
  criterion: "momentumApproximation",
  optimizer: "sm3",
  needsWindow: false,
  selectionAlgorithm: "sm3",
};
