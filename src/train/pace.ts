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

/** The steps since what they came to was last read. Evaluations and saves between them do not count. */
export class Stretch {
  #begun = 0;
  #steps = 0;
  #seconds = 0;
  #tokens = 0;

  /** Steps in it. */
  get steps(): number {
    return this.#steps;
  }

  /** A step begins. */
  begin(): void {
    this.#begun = performance.now();
  }

  /** A step of so many tokens has ended. */
  end(tokens: number): void {
    this.#steps++;
    this.#seconds += (performance.now() - this.#begun) / 1000;
    this.#tokens += tokens;
  }

  /** What has been counted; a new stretch begins. */
  take(): { steps: number; seconds: number; tokens: number } {
    const taken = { steps: this.#steps, seconds: this.#seconds, tokens: this.#tokens };
    this.#steps = this.#seconds = this.#tokens = 0;
    return taken;
  }
}
