/** The one path to an engine, whichever host it runs in, and the check that both ends speak alike. */

import { SpielError } from "../errors.ts";
import { PROTOCOL_HASH } from "./protocol.gen.ts";

/** What an engine answers: a JSON header and raw little-endian bytes. */
export interface Message {
  /** JSON of a `Reply`. */
  header: string;
  /** What the header describes. */
  payload: Uint8Array<ArrayBuffer>;
}

/** Carries one message at a time to an engine and its reply back. */
export interface Transport {
  /**
   * Sends a request. The payload must not change before the promise settles.
   *
   * @param header JSON of a `Request`.
   * @param payload The request's bytes; may be empty.
   */
  call(header: string, payload: Uint8Array): Promise<Message>;
  /** Frees the engine. Must not be called while a call is under way. */
  close(): void;
}

/**
 * Refuses an engine built from another protocol than this code's.
 *
 * @param version JSON of `{ "version": string, "protocol": string }`, as the host reports it.
 * @param what The engine in words, for the message.
 * @param remedy What to do about it.
 * @returns The engine's version.
 */
export function checkVersion(version: string, what: string, remedy: string): string {
  const { version: number, protocol } = JSON.parse(version) as Record<string, unknown>;
  if (protocol !== PROTOCOL_HASH) {
    throw new SpielError(
      "environment",
      `${what} speaks protocol ${protocol}, this code speaks ${PROTOCOL_HASH}: ${remedy}`,
    );
  }
  return String(number);
}
