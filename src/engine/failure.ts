/** Turns the engine's error codes into the kinds of failure that callers see. */

import { SpielError, type SpielErrorKind } from "../errors.ts";
import type { ErrorCode, ErrorInfo, Request } from "./protocol.gen.ts";

/** Requests whose arguments come from the user's files, so that a refusal is about the files. */
const CARRIES_USER_DATA: ReadonlySet<Request["op"]> = new Set(
  [
    "modelCreate",
    "tensorWrite",
    "tensorRead",
    "convert",
    "stateWrite",
    "candidatesResume",
    "deltaAttach",
    "generateForward",
  ],
);

/** What remains to be done when the device went away. */
const AFTER_LOSS = "saved checkpoints are intact: run again, a training run with --resume";

/** Codes of failures for which another device may do better. */
const OF_DEVICE: ReadonlySet<ErrorCode> = new Set(
  ["deviceUnavailable", "outOfMemory", "deviceLost"],
);

/** A request that the engine refused. */
class RefusedRequest extends SpielError {
  constructor(kind: SpielErrorKind, readonly info: ErrorInfo, advice: string) {
    super(kind, info.message + advice);
  }
}

/**
 * The error to throw for a request that the engine refused.
 *
 * `deviceUnavailable` and `outOfMemory` become `device`: this machine cannot do it. `invalidRequest`
 * becomes `data` where the arguments come from files, else `internal`: then this code asked for nonsense.
 * `invalidState` and `internal` are always `internal`. `deviceLost` becomes `interrupted`: what was saved
 * is intact, and going on from it is all that there is to do.
 */
export function engineFailure(op: Request["op"], info: ErrorInfo): SpielError {
  const advice = info.code === "deviceLost" ? `; ${AFTER_LOSS}` : "";
  return new RefusedRequest(kindOf(op, info), info, advice);
}

/** A refusal for want of memory with what helps, in words; any other error as it is. */
export function withRemedies(error: unknown, remedies: string): unknown {
  return error instanceof RefusedRequest && error.info.code === "outOfMemory"
    ? new RefusedRequest(error.kind, error.info, `; try ${remedies}`)
    : error;
}

/** What the engine said when the device itself failed, or does not do what was asked of it; null for any other error. */
export function deviceFailure(error: unknown): string | null {
  return error instanceof RefusedRequest && OF_DEVICE.has(error.info.code)
    ? error.info.message
    : null;
}

function kindOf(op: Request["op"], { code }: ErrorInfo): SpielErrorKind {
  switch (code) {
    case "deviceUnavailable":
    case "outOfMemory":
      return "device";
    case "invalidRequest":
      return CARRIES_USER_DATA.has(op) ? "data" : "internal";
    case "deviceLost":
      return "interrupted";
    case "invalidState":
    case "internal":
      return "internal";
  }
}
