/** Runs the training loop on the fake engine, and keeps what it told, asked and saved. */

import type { Request } from "../../src/engine/protocol.gen.ts";
import type { TrainEvent } from "../../src/train/events.ts";
import type { TrainerOptions } from "../../src/train/options.ts";
import { startPosition, type TrainingPosition } from "../../src/train/position.ts";
import { Trainer, type TrainerParts } from "../../src/train/trainer.ts";
import { type FakeEngine, openFakeEngine } from "./fake_engine.ts";
import { attachToyDeltas, createToy, TOY_BATCHES, toyEvaluation } from "./toy_run.ts";

/** What a run came to. */
export interface ToyRun {
  events: TrainEvent[];
  requests: Request[];
  fake: FakeEngine;
  saved: number[];
  error: unknown;
}

/** Runs the loop to its end, whatever that is. */
export async function runToy(
  options: TrainerOptions,
  parts: Partial<TrainerParts> & {
    method?: string;
    intercept?: FakeEngine["intercept"];
    position?: TrainingPosition;
  } = {},
): Promise<ToyRun> {
  const { engine, fake } = await openFakeEngine();
  const { method = "spiel-ag", intercept, position = startPosition(), ...rest } = parts;
  await createToy(engine, method);
  await attachToyDeltas(engine, method);
  const events: TrainEvent[] = [];
  const requests: Request[] = [];
  const saved: number[] = [];
  fake.intercept = (request) => {
    requests.push(request);
    return intercept?.(request);
  };
  const trainer = new Trainer(
    {
      engine,
      batches: TOY_BATCHES,
      evaluate: toyEvaluation(engine),
      save: ({ step }) => {
        saved.push(step);
        return Promise.resolve(`step-${step}`);
      },
      onEvent: (event) => void events.push(event),
      ...rest,
    },
    options,
    position,
  );
  let error: unknown;
  await trainer.run().catch((cause) => error = cause);
  await engine.close();
  return { events, requests, fake, saved, error };
}

/** The steps of the events of one type. */
export const stepsOf = (events: TrainEvent[], type: TrainEvent["type"]) =>
  events.flatMap((event) => event.type === type && "step" in event ? [event.step] : []);
