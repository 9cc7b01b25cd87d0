/** What a growth criterion is to the training loop; the ranking itself is the engine's work. */

import type { GrowthCriterion, Optimizer } from "../../engine/protocol.gen.ts";

/** A way to choose the positions that grow, and what has to go with it. */
export interface Growth {
  /** The method's name in configurations. */
  readonly method: string;
  /** The engine's name of the criterion. */
  readonly criterion: GrowthCriterion;
  /** The optimiser that the criterion reads its ranking from or seeds. */
  readonly optimizer: Optimizer;
  /** Whether a selection window must be open before a reselection. */
  readonly needsWindow: boolean;
  /** The reference's `selection_algorithm`, as adapters record it. */
  readonly selectionAlgorithm: "rigl" | "sm3";
}
