/** Makes the steps of a run, and waits for what they came to only as often as it is told. */

import type { Engine } from "../engine/engine.ts";
import type { TrainerOptions } from "./options.ts";
import { makeStep, readStep, type StepRequest, type StepResult, type StepSize } from "./step.ts";

/** What a step came to, and how fast the steps since the last one that was read went by. */
export interface ReadStep {
  readonly result: StepResult;
  readonly tokensPerSecond: number;
  readonly secondsPerStep: number;
}

/** The steps of one run. Evaluations and saves between them do not count as their time. */
export class Steps {
  #begun = 0;
  /** Since the last step that was read. */
  #steps = 0;
  #seconds = 0;
  #tokens = 0;
  #last: StepRequest | undefined;

  constructor(
    private readonly engine: Engine,
    private readonly options: Pick<TrainerOptions, "logEvery" | "totalSteps" | "update">,
  ) {}

  /** A step begins, before its micro-batches are there. */
  begin(): void {
    this.#begun = performance.now();
  }

  /** Makes the step that has begun; `read` is null where nobody waits for what it came to. */
  async make(request: StepRequest): Promise<{ size: StepSize; read: ReadStep | null }> {
    const { engine, options: { logEvery, totalSteps, update } } = this;
    const size = await makeStep(engine, request, update);
    const isRead = request.step % logEvery === 0 || request.step >= totalSteps;
    const result = isRead ? await readStep(engine, request) : null;
    this.#last = request;
    this.#steps++;
    this.#seconds += (performance.now() - this.#begun) / 1000;
    this.#tokens += size.tokens;
    return { size, read: result && this.#taken(result) };
  }

  #taken(result: StepResult): ReadStep {
    const tokensPerSecond = this.#tokens / this.#seconds;
    const secondsPerStep = this.#seconds / this.#steps;
    this.#steps = this.#seconds = this.#tokens = 0;
    return { result, tokensPerSecond, secondsPerStep };
  }

  /** Reads the last step where nobody has yet, such as when a run is stopped; null where it has been read. */
  async readLast(): Promise<ReadStep | null> {
    if (this.#steps === 0 || this.#last === undefined) return null;
    const begun = performance.now();
    const result = await readStep(this.engine, this.#last);
    this.#seconds += (performance.now() - begun) / 1000;
    return this.#taken(result);
  }

  /** Waits for steps that nobody has looked at, before they are kept or judged: one may have failed. */
  async check(): Promise<void> {
    if (this.#steps === 0 || this.#last === undefined) return;
    // The device may only now make the steps that are waited for.
    const begun = performance.now();
    await readStep(this.engine, this.#last);
    this.#seconds += (performance.now() - begun) / 1000;
  }
}
