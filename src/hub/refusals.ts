/** What the hub's refusals mean, in words for people. */

import { SpielError } from "../errors.ts";
import type { Answer } from "./http.ts";
import { type HubName, hubNameText } from "./name.ts";
import { retryAfterOf, Temporary } from "./retry.ts";
import type { HubSettings } from "./settings.ts";

/** Statuses that may pass by themselves. */
const PASSING: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

const NOUNS = { model: "model", dataset: "data set" } as const;

/**
 * The error for an answer that is no success.
 *
 * @param doing What was asked for, as in `download "a.json" of org/name`.
 * @returns A `Temporary` where trying again may help, else a `SpielError`.
 */
export function refusalOf(
  answer: Pick<Answer, "status" | "headers" | "isFromHub" | "host">,
  name: HubName,
  { endpoint, token }: Pick<HubSettings, "endpoint" | "token">,
  doing: string,
  now: number,
): Error {
  const { status, headers, isFromHub, host } = answer;
  if (PASSING.has(status)) {
    return new Temporary(`${host} answered ${status}`, retryAfterOf(headers, now));
  }
  // Elsewhere an address is signed, and its signature may have expired: the hub gives a new one.
  if (!isFromHub) return new Temporary(`${host} answered ${status}`);
  const text = hubNameText(name);
  const page = `${endpoint}/${name.kind === "dataset" ? "datasets/" : ""}${name.repo}`;
  const code = headers.get("x-error-code");
  const fail = (kind: "data" | "environment", message: string) => new SpielError(kind, message);
  const wantsToken = token === undefined
    ? "set HF_TOKEN to a token of an account that may read it"
    : "the account of the token (HF_TOKEN) may not read it";
  if (code === "GatedRepo") {
    return fail(
      "environment",
      `"${text}" is gated: accept its terms at ${page}, and ${
        token === undefined ? wantsToken : "use a token (HF_TOKEN) of the account that has"
      }`,
    );
  }
  if (code === "RevisionNotFound") {
    return fail(
      "data",
      `"${text}" has no revision "${name.revision}"; its branches and tags are listed at ${page}/tree/main`,
    );
  }
  if (code === "EntryNotFound") {
    return fail("data", `Cannot ${doing}: it is listed, but ${host} does not have it`);
  }
  if (status === 401 && /invalid/i.test(headers.get("x-error-message") ?? "")) {
    return fail(
      "environment",
      `${host} does not know the token that it was sent; set HF_TOKEN to a valid one, or unset it`,
    );
  }
  if (status === 403) {
    return fail("environment", `${host} does not let us ${doing}; ${wantsToken}`);
  }
  if (status === 401 || status === 404) {
    return fail(
      "data",
      `"${text}" does not exist here, and ${host} has no ${NOUNS[name.kind]} "${name.repo}" ` +
        `that it shows; see that the name is right, or where it is private, ${wantsToken}`,
    );
  }
  return fail("data", `Cannot ${doing}: ${host} answered ${status}`);
}
