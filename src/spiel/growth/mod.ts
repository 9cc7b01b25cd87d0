/** The growth criteria. A new one is a file beside this and a line here. */

import { accumulatedGradients } from "./accumulated_gradients.ts";
import type { Growth } from "./criterion.ts";
import { momentumApproximation } from "./momentum_approximation.ts";

export type { Growth } from "./criterion.ts";

/** Every growth criterion. */
export const GROWTHS: readonly Growth[] = [accumulatedGradients, momentumApproximation];

/** The criterion of a method such as `spiel-ag`; `undefined` for methods that do not grow. */
export function growthOf(method: string): Growth | undefined {
  return GROWTHS.find((growth) => growth.method === method);
}
