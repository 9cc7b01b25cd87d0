/** How fast steps go by, smoothed over the last ones, for the remaining time. */

/** Weight of the newest step: about the last ten steps count. */
const NEWEST = 0.2;

/** Measures steps. Evaluations and saves between them do not count. */
export class Pace {
  readonly #begun: number;
  #stepSeconds: number | undefined;

  /** @param elapsedBefore Seconds that count as elapsed already. */
  constructor(elapsedBefore = 0) {
    this.#begun = performance.now() - 1000 * elapsedBefore;
  }

  /** Counts a step that took `seconds`. */
  record(seconds: number): void {
    this.#stepSeconds = this.#stepSeconds === undefined
      ? seconds
      : NEWEST * seconds + (1 - NEWEST) * this.#stepSeconds;
  }

  /** Seconds that `steps` more steps will take; 0 before the first. */
  secondsFor(steps: number): number {
    return steps * (this.#stepSeconds ?? 0);
  }

  /** Seconds since the measure began, with those before it. */
  get elapsedS(): number {
    return (performance.now() - this.#begun) / 1000;
  }
}
