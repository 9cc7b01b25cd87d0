/** A hub on this machine, with a second host for large files, that can be made to fail in every way. */

import { createHash } from "node:crypto";
import type { HubParts } from "../../src/hub/hub.ts";
import { denoDisk } from "../../src/hub/disk.ts";
import { Token } from "../../src/hub/settings.ts";

/** A repository of the server. */
export interface ServedRepo {
  commit: string;
  files: Record<string, Uint8Array<ArrayBuffer>>;
}

/** A request as the server saw it. */
export interface Seen {
  host: "hub" | "cdn";
  path: string;
  range: string | null;
  ifNoneMatch: string | null;
  authorization: string | null;
}

/** Answers in place of the server; undefined lets it answer as it should. */
export type Fault = (
  seen: Seen,
  rightAnswer: () => Response,
  body: Uint8Array<ArrayBuffer> | null,
) => Response | undefined | Promise<Response | undefined>;

/** Files from this size on are stored as the hub stores large ones. */
const LARGE = 1000;

export const encode = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

/** Bytes that differ from their neighbours. */
export function noise(length: number, seed = 1): Uint8Array<ArrayBuffer> {
  let state = seed;
  return Uint8Array.from({ length }, () => (state = Math.imul(state, 1664525) + 1013904223) >>> 24);
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

export function gitSha1(bytes: Uint8Array): string {
  return createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
}

/** A body that breaks off, with its connection, or just ends, after some bytes. */
export function brokenBody(bytes: Uint8Array, after: number, end: "break" | "close" = "break") {
  return new ReadableStream<Uint8Array>({
    async start(controller) {
      controller.enqueue(bytes.subarray(0, after));
      // What was sent before a break must have left the server.
      await new Promise((resolve) => setTimeout(resolve, 20));
      if (end === "break") controller.error(new Error("broken on purpose"));
      else controller.close();
    },
  });
}

export class HubServer implements AsyncDisposable {
  readonly repos = new Map<string, ServedRepo>();
  readonly seen: Seen[] = [];
  fault: Fault = () => undefined;
  /** Waits that were asked of the clock, in milliseconds. */
  readonly waits: number[] = [];
  readonly #hub = this.#serve("hub");
  readonly #cdn = this.#serve("cdn");

  #serve(host: Seen["host"]) {
    return Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {}, onError: () => new Response(null) },
      (request) => this.#respond(host, request),
    );
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#hub.addr.port}`;
  }

  get cdn(): string {
    return `http://127.0.0.1:${this.#cdn.addr.port}`;
  }

  add(
    key: string,
    files: Record<string, Uint8Array<ArrayBuffer> | string>,
    commit = "a".repeat(40),
  ) {
    const all = Object.entries(files).map(([path, content]) =>
      [path, typeof content === "string" ? encode(content) : content] as const
    );
    this.repos.set(key, { commit, files: Object.fromEntries(all) });
  }

  /** Parts for `HubUse.hub` with a cache; time passes at once. */
  parts(cache: string, token?: string): HubParts {
    return {
      settings: {
        endpoint: this.endpoint,
        token: token === undefined ? undefined : new Token(token),
        cache,
        offline: false,
      },
      clock: {
        now: () => Date.now(),
        random: () => 0.5,
        sleep: (ms) => {
          this.waits.push(ms);
          return new Promise((resolve) => setTimeout(resolve, 1));
        },
      },
      disk: denoDisk,
      policy: {
        attempts: 4,
        firstDelayMs: 1000,
        maxDelayMs: 8000,
        maxRetryAfterMs: 60_000,
        silentMs: 50,
        stallMs: 150,
      },
    };
  }

  /** Requests for contents. */
  downloads(path: string): Seen[] {
    return this.seen.filter((seen) => seen.path.endsWith(path));
  }

  async #respond(host: Seen["host"], request: Request): Promise<Response> {
    const url = new URL(request.url);
    const path = decodeURIComponent(url.pathname);
    const { headers, method } = request;
    const seen: Seen = {
      ...{ host, path, range: headers.get("range") },
      ifNoneMatch: headers.get("if-none-match"),
      authorization: headers.get("authorization"),
    };
    if (method === "GET") this.seen.push(seen);
    const body = this.#content(path);
    const right = () => this.#right(seen, body, headers.get("host") ?? "");
    const answer = await this.fault(seen, right, body) ?? right();
    return method === "HEAD" ? new Response(null, answer) : answer;
  }

  #repoOf(path: string): [string, ServedRepo] | undefined {
    for (const [key, repo] of this.repos) {
      const [kind = "", ...rest] = key.split("/");
      const name = rest.join("/");
      const prefix = kind === "models" ? `/${name}/` : `/datasets/${name}/`;
      if (path.startsWith(`/api/${key}/`) || path.startsWith(prefix)) return [key, repo];
    }
    return undefined;
  }

  #content(path: string): Uint8Array<ArrayBuffer> | null {
    const [, repo] = this.#repoOf(path) ?? [];
    const file = /\/resolve\/[^/]+\/(.+)$/.exec(path)?.[1];
    return file === undefined ? null : repo?.files[file] ?? null;
  }

  #right({ host, path, range }: Seen, body: Uint8Array<ArrayBuffer> | null, at: string): Response {
    const [key, repo] = this.#repoOf(path) ?? [];
    if (repo === undefined || key === undefined) {
      return new Response("{}", { status: 404, headers: { "x-error-code": "RepoNotFound" } });
    }
    const commit = { "x-repo-commit": repo.commit };
    if (path.startsWith(`/api/${key}/revision/`)) {
      const revision = path.slice(`/api/${key}/revision/`.length);
      if (!["main", "v1", repo.commit].includes(revision)) {
        return new Response("{}", { status: 404, headers: { "x-error-code": "RevisionNotFound" } });
      }
      const siblings = Object.keys(repo.files).map((rfilename) => ({ rfilename }));
      const id = key.split("/").slice(1).join("/");
      return Response.json({
        id,
        sha: repo.commit,
        siblings,
        tags: [],
        private: false,
        downloads: 0,
      });
    }
    if (path.startsWith(`/api/${key}/tree/`)) return this.#tree(path, repo, at);
    if (body === null) {
      return new Response("", {
        status: 404,
        headers: { "x-error-code": "EntryNotFound", ...commit },
      });
    }
    const isLarge = body.length >= LARGE;
    const id = isLarge ? sha256(body) : gitSha1(body);
    if (host === "hub" && isLarge) {
      const headers = {
        ...commit,
        location: `${this.cdn}${path}?signature=secret-of-the-address`,
        "x-linked-etag": `"${id}"`,
        "x-linked-size": String(body.length),
      };
      return new Response(null, { status: 302, headers });
    }
    const etag = { etag: `"${isLarge ? `cdn-${id.slice(0, 8)}` : id}"`, ...commit };
    const from = /^bytes=(\d+)-$/.exec(range ?? "")?.[1];
    if (from === undefined) {
      return new Response(body, { headers: { ...etag, "content-length": String(body.length) } });
    }
    const part = body.subarray(Number(from));
    const contentRange = `bytes ${from}-${body.length - 1}/${body.length}`;
    return new Response(part, { status: 206, headers: { ...etag, "content-range": contentRange } });
  }

  #tree(path: string, repo: ServedRepo, at: string): Response {
    const entries = Object.entries(repo.files).map(([file, bytes]) => {
      const lfs = { oid: sha256(bytes), size: bytes.length, pointerSize: 130 };
      const oid = bytes.length >= LARGE ? gitSha1(encode("pointer")) : gitSha1(bytes);
      const large = bytes.length >= LARGE ? { lfs } : {};
      return { type: "file", path: file, size: bytes.length, oid, ...large };
    });
    const folder = { type: "directory", path: "folder", oid: "0".repeat(40), size: 0 };
    // Two pages where there is more than one file.
    const isFirst = entries.length > 1 && !path.endsWith("/page2");
    const link = isFirst ? { link: `<http://${at}${path}/page2>; rel="next"` } : {};
    const shown = entries.length < 2 ? entries : isFirst ? [folder, entries[0]] : entries.slice(1);
    return Response.json(shown, { headers: link as Record<string, string> });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#hub.shutdown(), this.#cdn.shutdown()]);
  }
}
