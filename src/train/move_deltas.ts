/** What SpIEL's calendar asks of the engine after a step: to open a selection window, or to drop and grow. */

import type { Engine } from "../engine/engine.ts";
import { actionsAfter } from "../spiel/schedule.ts";
import type { TrainerOptions } from "./options.ts";

/** A reselection. */
export interface MovedDeltas {
  /** The share of each module's deltas that was to be replaced. */
  readonly rate: number;
  /** Deltas that were dropped, over all modules. */
  readonly dropped: number;
  /** Deltas that were grown, as many. */
  readonly grown: number;
}

/**
 * Does what the calendar asks for after the steps done so far.
 *
 * @param beforeMoving Throws where a step that led up to a reselection has failed: deltas must not move by it.
 * @returns The reselection; `null` where there was none.
 */
export async function moveDeltas(
  engine: Engine,
  step: number,
  { spiel, update: { beta1, beta2 }, gradientAccumulationSteps }: TrainerOptions,
  beforeMoving: () => Promise<void>,
): Promise<MovedDeltas | null> {
  if (spiel === null) return null;
  const { growth: { criterion, needsWindow }, schedule } = spiel;
  const { candidatesBegin, reselect } = actionsAfter(step, schedule);
  if (candidatesBegin && needsWindow) await engine.beginCandidates();
  if (reselect === null) return null;
  await beforeMoving();
  const { rate } = reselect;
  const request = { criterion, rate, gradientAccumulationSteps, beta1, beta2 };
  const modules = await engine.reselect(request);
  const replaced = modules.reduce((sum, module) => sum + module.replaced, 0);
  return { rate, dropped: replaced, grown: replaced };
}
