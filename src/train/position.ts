/** Where a run stands: all that its loop must remember besides the engine's arrays. */

/** The best evaluation so far, that of the untrained model among them. */
export interface BestEvaluation {
  /** Optimiser steps done; 0 while nothing was better than the untrained model. */
  readonly step: number;
  /** Mean cross-entropy per target, in nats. */
  readonly loss: number;
}

/** Where a run stands. */
export interface TrainingPosition {
  /** Optimiser steps done. */
  step: number;
  /** The next micro-batch, counted over all epochs. */
  microBatch: number;
  /** Tokens seen. */
  tokens: number;
  /** Targets trained on. */
  targetTokens: number;
  /** Micro-batches that the open selection window has seen. */
  windowSamples: number;
  /** The step of the last complete evaluation; an interrupted one is made again. */
  evaluatedStep: number | null;
  /** The evaluation with the lowest loss, from that of the untrained model on. */
  best: BestEvaluation | null;
  /** Evaluations since the best one. */
  evaluationsWithoutImprovement: number;
}

/** The position of a run that has not begun. */
export function startPosition(): TrainingPosition {
  return {
    step: 0,
    microBatch: 0,
    tokens: 0,
    targetTokens: 0,
    windowSamples: 0,
    evaluatedStep: null,
    best: null,
    evaluationsWithoutImprovement: 0,
  };
}
