/** Requests to the hub: redirects are followed by hand, so that the token goes to the hub alone. */

import { SpielError } from "../errors.ts";
import { missingPermission } from "../io/permission.ts";
import type { RetryPolicy } from "./retry.ts";
import { STALL_BYTES, Temporary } from "./retry.ts";
import type { HubSettings } from "./settings.ts";

/** An answer whose body is still to be read. */
export interface Answer extends AsyncDisposable {
  readonly status: number;
  /** Headers of the last answer. */
  readonly headers: Headers;
  /** Headers of the hub's own answer, before it sent us elsewhere. */
  readonly hubHeaders: Headers;
  /** Whether the last answer came from the hub itself. */
  readonly isFromHub: boolean;
  /** The host that answered last. */
  readonly host: string;
  /** The body, in parts. @throws {Temporary} when the connection breaks or brings next to nothing. */
  body(): AsyncGenerator<Uint8Array, void, void>;
}

/** What sends requests. */
export interface HubHttp {
  readonly settings: Pick<HubSettings, "endpoint" | "token">;
  readonly policy: Pick<RetryPolicy, "silentMs" | "stallMs">;
  readonly signal?: AbortSignal | undefined;
  /** Told in a sentence of a host that sends nothing for a while; an empty one when it does again. */
  readonly onWaiting?: ((message: string) => void) | undefined;
  /** When something last came of the requests that belong together, by `performance.now()`; absent of one alone. */
  readonly lastBytesAt?: (() => number) | undefined;
}

const MAX_REDIRECTS = 5;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/**
 * Asks for a URL of the hub.
 *
 * @param doing What for, as in `download "a.json" of org/name`.
 * @throws {Temporary} when nobody answers.
 * @throws {SpielError} `environment` where Deno may not reach a host; `data` for a redirect that leads nowhere.
 */
export async function request(
  http: HubHttp,
  doing: string,
  address: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const { settings } = http;
  const stalling = new Stalling(http);
  try {
    const hub = new URL(settings.endpoint).origin;
    let url = new URL(address);
    let hubHeaders: Headers | undefined;
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      const isFromHub = url.origin === hub;
      stalling.host = url.host;
      const sent = new Headers({ ...headers, "accept-encoding": "identity" });
      if (isFromHub && settings.token !== undefined) {
        sent.set("authorization", settings.token.authorization);
      }
      const response = await fetch(url, {
        headers: sent,
        redirect: "manual",
        signal: stalling.signal,
      }).catch((error) => {
        throw failureOf(error, doing, url, stalling);
      });
      stalling.note(0);
      const { status } = response;
      hubHeaders = isFromHub || hubHeaders === undefined ? response.headers : hubHeaders;
      const location = response.headers.get("location");
      if (!REDIRECTS.has(status) || location === null) {
        return answerOf(response, { hubHeaders, isFromHub, url }, doing, stalling);
      }
      await response.body?.cancel();
      url = redirected(url, location, doing);
    }
    throw new SpielError(
      "data",
      `Cannot ${doing}: "${url.host}" sends from one address to another`,
    );
  } catch (error) {
    stalling[Symbol.dispose]();
    throw error;
  }
}

function answerOf(
  response: Response,
  { hubHeaders, isFromHub, url }: { hubHeaders: Headers; isFromHub: boolean; url: URL },
  doing: string,
  stalling: Stalling,
): Answer {
  const { status, headers } = response;
  return {
    ...{ status, headers, hubHeaders, isFromHub, host: url.host },
    async *body() {
      try {
        for await (const part of response.body ?? []) {
          stalling.note(part.length);
          yield part;
        }
      } catch (error) {
        throw failureOf(error, doing, url, stalling);
      } finally {
        // The disk may take long now, which is not the host's silence.
        stalling[Symbol.dispose]();
      }
    },
    async [Symbol.asyncDispose]() {
      stalling[Symbol.dispose]();
      await response.body?.cancel().catch(() => {});
    },
  };
}

function redirected(from: URL, location: string, doing: string): URL {
  const url = URL.parse(location, from);
  const isDowngrade = from.protocol === "https:" && url?.protocol !== "https:";
  if (url !== null && /^https?:$/.test(url.protocol) && !isDowngrade) return url;
  // The rest of an address may hold a signature, which is as good as a password.
  const where = url === null ? "no address" : `${url.protocol}//${url.host}`;
  throw new SpielError(
    "data",
    `Cannot ${doing}: "${from.host}" sends to ${where}; expected an https address`,
  );
}

/** What a failed request means. */
function failureOf(error: unknown, doing: string, url: URL, stalling: Stalling): unknown {
  if (error instanceof Temporary) return error;
  if (error instanceof Deno.errors.NotCapable) {
    const flag = missingPermission(error.message);
    return new SpielError("environment", `Cannot ${doing}: add ${flag} to the deno command`, {
      cause: error,
    });
  }
  if (stalling.isStalled) {
    return new Temporary(`${url.host} sends next to nothing for ${stalling.seconds} s`);
  }
  const message = error instanceof Error ? error.message : String(error);
  // An address after its "?" may hold a signature.
  const reason = message.replaceAll(/ ?(?:for url )?\(?https?:\/\/[^\s)]*\)?/g, "");
  return new Temporary(`the connection to ${url.host} failed (${reason})`);
}

/** Tells of a host that sends nothing, and gives up a request that brings next to nothing. */
class Stalling implements Disposable {
  readonly #policy: HubHttp["policy"];
  readonly #onWaiting: HubHttp["onWaiting"];
  readonly #lastBytesAt: HubHttp["lastBytesAt"];
  readonly #controller = new AbortController();
  readonly #timers: readonly ReturnType<typeof setInterval>[];
  readonly signal: AbortSignal;
  /** Who was asked last. */
  host = "";
  #bytes = 0;
  #isSilent = true;
  #isTold = false;

  constructor({ policy, signal, onWaiting, lastBytesAt }: HubHttp) {
    this.#policy = policy;
    this.#onWaiting = onWaiting;
    this.#lastBytesAt = lastBytesAt;
    this.signal = AbortSignal.any([
      this.#controller.signal,
      ...signal === undefined ? [] : [signal],
    ]);
    this.#timers = [
      setInterval(() => this.#look(), policy.silentMs),
      setInterval(() => {
        if (this.#bytes < STALL_BYTES) this.#controller.abort();
        this.#bytes = 0;
      }, policy.stallMs),
    ];
  }

  get isStalled(): boolean {
    return this.#controller.signal.aborted;
  }

  get seconds(): number {
    return secondsIn(this.#policy.stallMs);
  }

  /** Something has come, be it only the beginning of an answer. */
  note(bytes: number): void {
    this.#bytes += bytes;
    this.#isSilent = false;
    if (this.#isTold) this.#onWaiting?.("");
    this.#isTold = false;
  }

  #look(): void {
    const { silentMs } = this.#policy;
    // Where another file goes on coming nobody waits for this one.
    const isWaitedFor = performance.now() - (this.#lastBytesAt?.() ?? -Infinity) >= silentMs;
    if (this.#isSilent && isWaitedFor && !this.#isTold) {
      this.#onWaiting?.(
        `${this.host} has sent nothing for ${secondsIn(silentMs)} s; waiting`,
      );
      this.#isTold = true;
    }
    this.#isSilent = true;
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearInterval(timer);
  }
}

function secondsIn(milliseconds: number): number {
  return Math.max(1, Math.round(milliseconds / 1000));
}
