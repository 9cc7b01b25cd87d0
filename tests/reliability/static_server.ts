/** The repository behind a plain static file server, as a code host would serve it. */

import { extname, join, normalize } from "node:path";

const ROOT = decodeURIComponent(new URL("../../", import.meta.url).pathname);

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  ".ts": "application/typescript",
  ".js": "text/javascript",
  ".json": "application/json",
  ".wasm": "application/wasm",
};

/** Serves files on a free port of 127.0.0.1 until disposed. */
export class StaticServer implements AsyncDisposable {
  /** Paths that were asked for. */
  readonly asked: Set<string> = new Set();
  readonly #server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    ({ url }) => this.#respond(new URL(url).pathname),
  );

  /** Such as `127.0.0.1:49152`. */
  get host(): string {
    const { hostname, port } = this.#server.addr;
    return `${hostname}:${port}`;
  }

  /** The address of a file of the repository. */
  urlOf(path: string): string {
    return `http://${this.host}/${path}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  async #respond(path: string): Promise<Response> {
    this.asked.add(path);
    try {
      const body = await Deno.readFile(join(ROOT, normalize(decodeURIComponent(path))));
      const type = CONTENT_TYPES[extname(path)] ?? "application/octet-stream";
      return new Response(body, { headers: { "content-type": type } });
    } catch {
      return new Response("not found", { status: 404 });
    }
  }
}
