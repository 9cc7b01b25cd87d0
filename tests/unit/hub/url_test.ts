/** Files of the web: downloaded into the cache in spite of broken answers, and taken from there where unchanged. */
import assert from "node:assert/strict";
import { denoDisk, type HubDisk } from "../../../src/hub/disk.ts";
import { localData } from "../../../src/hub/local_names.ts";
import type { Downloaded } from "../../../src/hub/hub.ts";
import { downloadUrl } from "../../../src/hub/url_file.ts";
import { shownName, urlOf } from "../../../src/io/web_address.ts";
import { brokenBody, type Fault, HubServer, noise } from "../../support/hub_server.ts";
import { assertRejects } from "../../support/refuses.ts";
import { withTempDir } from "../../support/temp_dir.ts";

const CONTENT = noise(300_000);
const ETAG = '"v1"';

/** A server with one large file, whose content and name may change. */
class Web {
  content = CONTENT;
  etag: string | null = ETAG;

  constructor(readonly server: HubServer) {
    server.fault = (seen) => this.answer(seen.range, null);
  }

  answer(range: string | null, ifNoneMatch: string | null): Response {
    const headers: Record<string, string> = this.etag === null ? {} : { etag: this.etag };
    if (ifNoneMatch !== null && ifNoneMatch === this.etag) {
      return new Response(null, { status: 304 });
    }
    const from = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0);
    const { length } = this.content;
    headers["content-length"] = String(length - from);
    if (from === 0) return new Response(this.content, { headers });
    headers["content-range"] = `bytes ${from}-${length - 1}/${length}`;
    return new Response(this.content.subarray(from), { status: 206, headers });
  }
}

function withWeb(
  test: (web: Web, url: URL, use: { hub: ReturnType<HubServer["parts"]> }) => Promise<void>,
): Promise<void> {
  return withTempDir(async (cache) => {
    await using server = new HubServer();
    const url = new URL(`${server.endpoint}/some/where/train.jsonl.gz?key=secret`);
    await test(new Web(server), url, { hub: server.parts(cache) });
  });
}

Deno.test("a file gets its own name, and its address is no other file's", () =>
  withWeb(async (web, url, use) => {
    const { paths: [path = ""], bytes, commit } = await downloadUrl(url, use);
    assert.match(path, /\/urls\/[0-9a-f]{32}\/train\.jsonl\.gz$/);
    assert.deepEqual(Deno.readFileSync(path), CONTENT);
    assert.deepEqual([bytes, commit], [CONTENT.length, ETAG]);
    const other = new URL(url.href.replace("secret", "other"));
    web.content = noise(10);
    const second = await downloadUrl(other, use);
    assert.notEqual(second.paths[0], path);
    assert.equal(Deno.statSync(second.paths[0]!).size, 10);
    // Messages have the address, without what may be a password.
    const name = `${web.server.endpoint}/some/where/train.jsonl.gz`;
    assert.deepEqual(await localData([url.href, "here.jsonl"], use), [
      { path, name },
      "here.jsonl",
    ]);
  }));

/** How answers break, and the ranges that are then asked for. */
const FAULTS: [title: string, fault: (web: Web) => Fault, ranges: (string | null)[]][] = [
  [
    "a connection that breaks",
    (web) => (seen) =>
      seen.range === null
        ? new Response(brokenBody(CONTENT, 100_000), {
          headers: { etag: ETAG, "content-length": String(CONTENT.length) },
        })
        : web.answer(seen.range, null),
    [null, "bytes=100000-"],
  ],
  ["503 and then an answer", (web) => once(new Response("", { status: 503 }), web), [null, null]],
  [
    "429 and a wait",
    (web) => once(new Response("", { status: 429, headers: { "retry-after": "2" } }), web),
    [null, null],
  ],
  [
    "a server that ignores ranges",
    (web) => (seen) =>
      seen.range === null && web.server.seen.length === 1
        ? new Response(brokenBody(CONTENT, 100_000), {
          headers: { etag: ETAG, "content-length": String(CONTENT.length) },
        })
        : web.answer(null, null),
    [null, "bytes=100000-"],
  ],
  [
    "no name of the content: from the beginning again",
    (web) => (seen) => {
      web.etag = null;
      return web.server.seen.length === 1
        ? new Response(brokenBody(CONTENT, 100_000), {
          headers: { "content-length": String(CONTENT.length) },
        })
        : web.answer(seen.range, null);
    },
    [null, null],
  ],
];

function once(first: Response, web: Web): Fault {
  let answer: Response | undefined = first;
  return (seen) => {
    const now = answer ?? web.answer(seen.range, null);
    answer = undefined;
    return now;
  };
}

for (const [title, fault, ranges] of FAULTS) {
  Deno.test(`a download survives ${title}`, () =>
    withWeb(async (web, url, use) => {
      web.server.fault = fault(web);
      const { paths: [path = ""] } = await downloadUrl(url, use);
      assert.deepEqual(Deno.readFileSync(path), CONTENT);
      assert.deepEqual(web.server.seen.map(({ range }) => range), ranges);
      const left = [...Deno.readDirSync(path.slice(0, path.lastIndexOf("/")))];
      assert.deepEqual(left.map(({ name }) => name).sort(), ["about.json", "train.jsonl.gz"]);
    }));
}

/** Answers that no file comes of, and what is said of them. */
const REFUSED: [title: string, fault: Fault, kind: string, words: string][] = [
  ["404", () => new Response("", { status: 404 }), "data", "answered 404"],
  ["401", () => new Response("", { status: 401 }), "data", "answered 401"],
  [
    "a web page",
    () => new Response("<html>", { headers: { "content-type": "text/html; charset=utf-8" } }),
    "data",
    "is a web page",
  ],
  ["503 for ever", () => new Response("", { status: 503 }), "interrupted", "answered 503"],
  [
    "an address that is no web address",
    () => new Response(null, { status: 302, headers: { location: "file:///etc/passwd" } }),
    "data",
    "expected an https address",
  ],
  [
    "lies about ranges",
    (seen) =>
      seen.range === null
        ? new Response(brokenBody(CONTENT, 1000), {
          headers: { etag: ETAG, "content-length": String(CONTENT.length) },
        })
        : new Response(CONTENT, {
          status: 206,
          headers: { etag: ETAG, "content-range": `bytes 7-${CONTENT.length - 1}/*` },
        }),
    "interrupted",
    "sends bytes from 7 on, expected 1000",
  ],
];

for (const [title, fault, kind, words] of REFUSED) {
  Deno.test(`a file of the web is refused for ${title}, without its secret`, () =>
    withWeb(async (web, url, use) => {
      web.server.fault = fault;
      const refused = () => downloadUrl(url, use);
      await assertRejects(refused, kind as "data", words);
      await refused().catch((error) => assert.ok(!error.message.includes("secret"), error.message));
    }));
}

Deno.test("a download that was stopped goes on in another process, and begins over for another content", () =>
  withWeb(async (web, url, use) => {
    const breaking = () =>
      new Response(brokenBody(CONTENT, 100_000), {
        headers: { etag: web.etag!, "content-length": String(CONTENT.length) },
      });
    const stop = new AbortController();
    web.server.fault = (seen) => {
      if (seen.range !== null) stop.abort();
      return seen.range === null ? breaking() : web.answer(seen.range, null);
    };
    await assertRejects(() => downloadUrl(url, { ...use, signal: stop.signal }), "interrupted");
    web.server.seen.length = 0;
    web.server.fault = (seen) => web.answer(seen.range, null);
    const { paths: [path = ""] } = await downloadUrl(url, use);
    assert.deepEqual(web.server.seen.map(({ range }) => range), ["bytes=100000-"]);
    assert.deepEqual(Deno.readFileSync(path), CONTENT);
  }));

Deno.test("what is unchanged is not sent again; what the server cannot tell now is taken from the cache", () =>
  withWeb(async (web, url, use) => {
    const first = await downloadUrl(url, use);
    web.server.fault = () => new Response(null, { status: 304 });
    assert.deepEqual(await downloadUrl(url, use), first);
    web.server.fault = () => new Response("", { status: 503 });
    const warnings: string[] = [];
    const onWarning = (message: string) => void warnings.push(message);
    assert.deepEqual(await downloadUrl(url, { ...use, onWarning }), first);
    assert.match(warnings[0]!, /answered 503, the last of 4 failures; what is in the cache/);
    web.server.seen.length = 0;
    assert.deepEqual(await downloadUrl(url, { ...use, offline: true }), first);
    assert.equal(web.server.seen.length, 0);
    const other = new URL(`${url.origin}/b.jsonl`);
    await assertRejects(
      () => downloadUrl(other, { ...use, offline: true }),
      "environment",
      "/b.jsonl",
      "offline nothing is downloaded",
    );
    web.content = noise(50);
    web.etag = '"v2"';
    web.server.fault = (seen) => web.answer(seen.range, null);
    assert.equal((await downloadUrl(url, use)).bytes, 50);
  }));

for (const etag of [null, 'W/"v1"']) {
  Deno.test(`what is sent again under the name ${etag} stays the same file while its bytes do`, () =>
    withWeb(async (web, url, use) => {
      web.etag = etag;
      const { paths: [path = ""] } = await downloadUrl(url, use);
      const { ino } = Deno.statSync(path);
      await downloadUrl(url, use);
      assert.equal(web.server.seen[1]!.ifNoneMatch, etag);
      assert.equal(Deno.statSync(path).ino, ino);
      const left = [...Deno.readDirSync(path.slice(0, path.lastIndexOf("/")))];
      assert.deepEqual(left.map(({ name }) => name).sort(), ["about.json", "train.jsonl.gz"]);
      web.content = CONTENT.with(7, CONTENT[7]! ^ 1);
      await downloadUrl(url, use);
      assert.deepEqual(Deno.readFileSync(path), web.content);
    }));
}

Deno.test("several downloads of one file at once take turns, and get one whole content", () =>
  withWeb(async (web, url, use) => {
    const contents = [noise(200_000), noise(150_000), noise(100_000)];
    web.server.fault = () => {
      const { length } = web.server.seen;
      web.content = contents[Math.min(length, 3) - 1]!;
      web.etag = `"v${length}"`;
      return web.answer(null, null);
    };
    const found = await Promise.all([1, 2, 3].map(() => downloadUrl(url, use)));
    const [{ paths: [path = ""] }] = found as [Downloaded];
    const last = found.find(({ commit }) => commit === '"v3"');
    assert.deepEqual(Deno.readFileSync(path), contents[2]);
    assert.equal(last?.bytes, contents[2]!.length);
  }));

Deno.test("the token of the hub goes to the hub alone", () =>
  withTempDir(async (cache) => {
    await using server = new HubServer();
    server.fault = () => new Response("{}", { headers: { etag: ETAG } });
    const hub = server.parts(cache, "hf_token");
    await downloadUrl(new URL(`${server.cdn}/a.jsonl`), { hub });
    await downloadUrl(new URL(`${server.endpoint}/a.jsonl`), { hub });
    assert.deepEqual(server.seen.map(({ authorization }) => authorization), [
      null,
      "Bearer hf_token",
    ]);
  }));

Deno.test("what is told and written down of an address keeps no secret, and the weight", () => {
  const shown = {
    "https://a.b/c.jsonl?key=secret:x": "https://a.b/c.jsonl",
    "https://a.b/c.jsonl?key=secret:0.7": "https://a.b/c.jsonl:0.7",
    "https://me:secret@a.b/c.jsonl#d": "https://a.b/c.jsonl",
    "https://a.b/C.jsonl:2": "https://a.b/C.jsonl:2",
    "data/what?.jsonl:1": "data/what?.jsonl:1",
  };
  for (const [name, expected] of Object.entries(shown)) assert.equal(shownName(name), expected);
});

Deno.test("addresses are told from paths", () => {
  assert.equal(urlOf("HTTPS://a.b/c")?.href, "https://a.b/c");
  for (const name of ["a.jsonl", "hf:a/b", "http:/a", "ftp://a/b"]) assert.equal(urlOf(name), null);
});

Deno.test("a disk that takes long is not told as the server's silence", () =>
  withWeb(async (_web, url, { hub }) => {
    const disk: HubDisk = {
      ...denoDisk,
      resume: async (path, offset) => {
        const file = await denoDisk.resume(path, offset);
        return {
          write: (bytes) => file.write(bytes),
          sync: async () => {
            await new Promise((resolve) => setTimeout(resolve, 160));
            await file.sync();
          },
          close: () => file.close(),
        };
      },
    };
    const onDownload = ({ waiting }: { waiting?: string }) => assert.equal(waiting, undefined);
    await downloadUrl(url, { hub: { ...hub, disk }, onDownload });
  }));

Deno.test("a server that is silent for a while is told, and what it then sends is taken", () =>
  withWeb(async (web, url, use) => {
    web.server.fault = async (seen) => {
      await new Promise((resolve) => setTimeout(resolve, 110));
      return web.answer(seen.range, null);
    };
    const waits: string[] = [];
    const onDownload = ({ waiting }: { waiting?: string | undefined }) => {
      if (waiting !== undefined) waits.push(waiting);
    };
    const { bytes } = await downloadUrl(url, { ...use, onDownload });
    assert.deepEqual([bytes, waits], [CONTENT.length, [
      `${url.host} has sent nothing for 1 s; waiting`,
    ]]);
  }));
