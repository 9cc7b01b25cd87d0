/** Trying again: how often, and how long to wait before. */

import { SpielError } from "../errors.ts";
import type { Clock } from "./clock.ts";

/** How patient a download is. */
export interface RetryPolicy {
  /** Failures one after another, without progress between them, after which it is given up. */
  readonly attempts: number;
  /** Longest wait after the first failure; each further one may double it. */
  readonly firstDelayMs: number;
  /** Longest wait that is chosen here. */
  readonly maxDelayMs: number;
  /** Longest wait that a server may ask for. */
  readonly maxRetryAfterMs: number;
  /** After so long without anything from a host it is told that it is waited for. */
  readonly silentMs: number;
  /** A connection that brings less than `STALL_BYTES` in this time is given up. */
  readonly stallMs: number;
}

/** About half a minute of waiting in total. */
export const DEFAULT_RETRY_POLICY: RetryPolicy = {
  attempts: 6,
  firstDelayMs: 1000,
  maxDelayMs: 15_000,
  maxRetryAfterMs: 300_000,
  silentMs: 5_000,
  stallMs: 30_000,
};

/** Less than this in `stallMs` is no progress. */
export const STALL_BYTES = 1024;

/** More than this since the last failure is. */
const PROGRESS_BYTES = 1 << 20;

/** A failure that may pass by itself. */
export class Temporary extends Error {
  /** @param message A clause such as `huggingface.co answered 503`. */
  constructor(message: string, readonly retryAfterMs: number | null = null) {
    super(message);
  }
}

/** What trying again needs. */
export interface Retrying {
  readonly clock: Clock;
  readonly policy: RetryPolicy;
  readonly signal?: AbortSignal | undefined;
  /** Told before a wait, in a sentence; an empty one when it is over. */
  readonly onWaiting?: ((message: string) => void) | undefined;
}

/**
 * Does something until it succeeds, fails for good, or has failed too often without progress.
 *
 * @param doing What it is, as in `download "a.json" of org/name`.
 * @param bytes How far it has come; growth makes earlier failures forgotten.
 * @throws {SpielError} `interrupted` when it was given up: the same command may succeed later, from where it stopped.
 */
export async function withRetries<Result>(
  doing: string,
  { clock, policy, signal, onWaiting }: Retrying,
  attempt: () => Promise<Result>,
  bytes: () => number = () => 0,
): Promise<Result> {
  let failures = 0;
  let furthest = bytes();
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      refuseIfStopped(signal);
      if (!(error instanceof Temporary)) throw error;
      if (bytes() > furthest + PROGRESS_BYTES) failures = 0;
      furthest = Math.max(furthest, bytes());
      failures++;
      const delay = delayOf(error, failures, clock, policy);
      if (failures >= policy.attempts || delay === null) {
        throw givenUp(doing, error, failures, delay);
      }
      onWaiting?.(`${error.message}; trying again in ${Math.ceil(delay / 1000)} s`);
      try {
        await clock.sleep(delay, signal);
      } catch (reason) {
        refuseIfStopped(signal);
        throw reason;
      }
      onWaiting?.("");
    }
  }
}

/** Ends what its signal has stopped. */
export function refuseIfStopped(signal: AbortSignal | undefined): void {
  if (signal?.aborted) {
    throw new SpielError("interrupted", "Stopped downloading; the same command goes on from there");
  }
}

/** Milliseconds to wait; null where the server asks for more than anyone would wait. */
function delayOf(
  { retryAfterMs }: Temporary,
  failures: number,
  clock: Clock,
  policy: RetryPolicy,
): number | null {
  const longest = Math.min(policy.maxDelayMs, policy.firstDelayMs * 2 ** (failures - 1));
  // Spread out, so that many who failed together do not come back together.
  const jittered = longest * (0.5 + clock.random() / 2);
  if (retryAfterMs === null) return jittered;
  return retryAfterMs > policy.maxRetryAfterMs ? null : Math.max(retryAfterMs, jittered);
}

function givenUp(
  doing: string,
  error: Temporary,
  failures: number,
  delay: number | null,
): SpielError {
  const asked = Math.ceil((error.retryAfterMs ?? 0) / 1000);
  const why = delay === null
    ? `, and asks to wait ${asked} s`
    : failures === 1
    ? ""
    : `, the last of ${failures} failures`;
  return new SpielError(
    "interrupted",
    `Cannot ${doing}: ${error.message}${why}; the same command goes on from what is there`,
    { cause: error },
  );
}

/**
 * How long a server asks to wait by `Retry-After`, in seconds or as a date; null where it does not say.
 *
 * @param now Milliseconds since 1970.
 */
export function retryAfterOf(headers: Headers, now: number): number | null {
  const text = headers.get("retry-after")?.trim();
  if (text === undefined) return null;
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}
