/** Estimates how long the steps of a run take, from a few of its micro-batches computed as in training. */

import type { MicroBatchStream } from "../data/sampler.ts";
import type { Engine } from "../engine/engine.ts";
import { SpielError } from "../errors.ts";
import type { TrainerOptions } from "./options.ts";
import { makeStep } from "./step.ts";

/** Micro-batches that are computed, of which the first only warms the device up. */
const MOST_BATCHES = 5;
/** No further one is begun after so many seconds. */
const ENOUGH_S = 10;

/** An estimate and what it is from. */
export interface StepTime {
  /** Seconds of the steps that are to be made, without evaluations, reselections and checkpoints. */
  readonly seconds: number;
  /** Micro-batches that were measured. */
  readonly measured: number;
  /** Whether they are without the first, which also warms the device up. */
  readonly isWarm: boolean;
}

/**
 * Computes micro-batches from all over the first epoch, each with an update that changes nothing, and multiplies by
 * those of the steps that are to be made.
 *
 * @param engine Holds the model with what is trained of it.
 * @throws {SpielError} `interrupted` when the signal fires, besides the engine's own.
 */
export async function estimateSteps(
  engine: Engine,
  stream: Pick<MicroBatchStream, "microBatch" | "microBatchesIn">,
  { totalMicroBatches, update }: Pick<TrainerOptions, "update"> & { totalMicroBatches: number },
  signal?: AbortSignal,
): Promise<StepTime> {
  const epoch = stream.microBatchesIn(0);
  const times: number[] = [];
  const begun = performance.now();
  while (times.length < MOST_BATCHES && secondsSince(begun) < ENOUGH_S) {
    refuseIfStopped(signal);
    const batch = await stream.microBatch(Math.floor(times.length / MOST_BATCHES * epoch));
    const start = performance.now();
    await makeStep(engine, { step: times.length + 1, batches: [batch], learningRate: 0 }, update);
    await engine.readUpdate();
    times.push(secondsSince(start));
  }
  // Whoever stopped the last micro-batch was told that the run stops.
  refuseIfStopped(signal);
  const isWarm = times.length > 1;
  const measured = isWarm ? times.slice(1) : times;
  const mean = measured.reduce((sum, time) => sum + time, 0) / measured.length;
  return { seconds: mean * totalMicroBatches, measured: measured.length, isWarm };
}

function refuseIfStopped(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new SpielError("interrupted", "Stopped while measuring the steps");
}

function secondsSince(start: number): number {
  return (performance.now() - start) / 1000;
}
