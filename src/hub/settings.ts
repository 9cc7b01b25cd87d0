/** Where the hub is, where its cache lies, and who asks: what the variables of Hugging Face's programs say. */

import { join } from "node:path";
import { SpielError } from "../errors.ts";

/** How to reach the hub. */
export interface HubSettings {
  /** Without a slash at the end. */
  readonly endpoint: string;
  /** `undefined` for nobody in particular. */
  readonly token: Token | undefined;
  /** The folder of the cache. */
  readonly cache: string;
  /** Takes what is cached and asks no server. */
  readonly offline: boolean;
}

/** A secret that no message, record or stack trace shows. */
export class Token {
  readonly #value: string;

  /** @param value What the hub has given. */
  constructor(value: string) {
    this.#value = value;
  }

  /** The value of the header `authorization`. */
  get authorization(): string {
    return `Bearer ${this.#value}`;
  }

  /** Says nothing of the secret. */
  toJSON(): string {
    return "(hidden)";
  }
}

const DEFAULT_ENDPOINT = "https://huggingface.co";
const HOME = Deno.build.os === "windows" ? "USERPROFILE" : "HOME";

/** All variables that are read. */
export const HUB_VARIABLES = [
  "HF_ENDPOINT",
  "HF_TOKEN",
  "HF_TOKEN_PATH",
  "HF_HUB_DISABLE_IMPLICIT_TOKEN",
  "HF_HOME",
  "HF_HUB_CACHE",
  "HUGGINGFACE_HUB_CACHE",
  "HF_HUB_OFFLINE",
  "TRANSFORMERS_OFFLINE",
  "XDG_CACHE_HOME",
  HOME,
] as const;

type Read = (name: typeof HUB_VARIABLES[number]) => string | undefined;

/**
 * Reads the settings.
 *
 * @param read Reads a variable; the process's own unless a test says otherwise.
 * @throws {SpielError} `usage` for a value that cannot be; `environment` where Deno may not read a variable: a cache
 * beside the one that was set would be filled in silence.
 */
export function hubSettings(read: Read = variable): HubSettings {
  const given = (name: typeof HUB_VARIABLES[number]) => read(name)?.trim() || undefined;
  const home = expand(
    given("HF_HOME") ??
      join(given("XDG_CACHE_HOME") ?? join(homeFolder(given), ".cache"), "huggingface"),
    given,
  );
  const cache = given("HF_HUB_CACHE") ?? given("HUGGINGFACE_HUB_CACHE");
  return {
    endpoint: endpointOf(given("HF_ENDPOINT") ?? DEFAULT_ENDPOINT),
    token: tokenOf(given, home),
    cache: cache === undefined ? join(home, "hub") : expand(cache, given),
    offline: isTrue(given("HF_HUB_OFFLINE") ?? given("TRANSFORMERS_OFFLINE")),
  };
}

function variable(name: string): string | undefined {
  if (Deno.permissions.querySync({ name: "env", variable: name }).state !== "granted") {
    throw new SpielError(
      "environment",
      `A name of the hub is looked up by ${name} and its like; ` +
        `add --allow-env=${HUB_VARIABLES.join(",")} to the deno command`,
    );
  }
  return Deno.env.get(name);
}

function homeFolder(given: Read): string {
  const home = given(HOME);
  if (home !== undefined) return home;
  throw new SpielError(
    "environment",
    `The hub's cache has no place, as ${HOME} is not set; set HF_HOME to a folder`,
  );
}

function expand(path: string, given: Read): string {
  return /^~(?=[\\/]|$)/.test(path) ? homeFolder(given) + path.slice(1) : path;
}

function isTrue(value: string | undefined): boolean {
  return /^(1|on|yes|true)$/i.test(value ?? "");
}

function endpointOf(text: string): string {
  const url = URL.parse(text);
  if (url !== null && /^https?:$/.test(url.protocol) && url.username + url.password === "") {
    return text.replace(/\/+$/, "");
  }
  // One with a name and password in it is not shown.
  const shown = url !== null && url.username + url.password !== ""
    ? "has a password in it"
    : `is "${text}"`;
  throw new SpielError("usage", `HF_ENDPOINT ${shown}; expected a URL such as ${DEFAULT_ENDPOINT}`);
}

function tokenOf(given: Read, home: string): Token | undefined {
  if (isTrue(given("HF_HUB_DISABLE_IMPLICIT_TOKEN"))) return undefined;
  const variable = given("HF_TOKEN");
  const path = expand(given("HF_TOKEN_PATH") ?? join(home, "token"), given);
  const value = variable ?? textOf(path);
  if (value === undefined) return undefined;
  if (/^[\x21-\x7e]+$/.test(value)) return new Token(value);
  const where = variable === undefined ? `The token in "${path}"` : "HF_TOKEN";
  throw new SpielError(
    "usage",
    `${where} has spaces or letters that no token has; expected one such as hf_…`,
  );
}

/** A file's text; undefined where there is none to be read: a token is not needed for everything. */
function textOf(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path).trim() || undefined;
  } catch {
    return undefined;
  }
}
