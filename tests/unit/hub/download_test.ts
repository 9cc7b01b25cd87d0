/** Downloads from a hub that breaks, lies, refuses and changes: what ends up in the cache is right, or nothing does. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { downloadModel, type HubUse } from "../../../src/hub/hub.ts";
import { parseHubName } from "../../../src/hub/name.ts";
import { SpielError, type SpielErrorKind } from "../../../src/errors.ts";
import { systemFailure } from "../../support/faulty_files.ts";
import { brokenBody, encode, HubServer, noise, sha256 } from "../../support/hub_server.ts";
import { assertRejects } from "../../support/refuses.ts";
import { withTempDir } from "../../support/temp_dir.ts";

const NAME = parseHubName("model", "org/tiny");
const WEIGHTS = noise(300_000);
const CONFIG = JSON.stringify({ model_type: "llama" });

function tiny(server: HubServer): void {
  server.add("models/org/tiny", {
    "config.json": CONFIG,
    "tokenizer.json": "{}",
    "model.safetensors": WEIGHTS,
    "modeling_tiny.py": "import os",
    "pytorch_model.bin": noise(5000),
  });
}

/** A server with the model, an empty cache, and what a download of it comes to. */
async function withHub(
  test: (
    server: HubServer,
    cache: string,
    download: (use?: HubUse) => Promise<string>,
  ) => Promise<void>,
  token?: string,
): Promise<void> {
  await withTempDir(async (cache) => {
    await using server = new HubServer();
    tiny(server);
    await test(server, cache, async (use = {}) => {
      const parts = server.parts(cache, token);
      return (await downloadModel(NAME, { hub: parts, ...use })).paths[0] ?? "";
    });
  });
}

const isWeights = ({ path }: { path: string }) => path.endsWith("/model.safetensors");
const onCdn = (seen: { host: string; path: string }) => seen.host === "cdn" && isWeights(seen);

function assertWhole(folder: string): void {
  assert.equal(sha256(Deno.readFileSync(join(folder, "model.safetensors"))), sha256(WEIGHTS));
  assert.equal(Deno.readTextFileSync(join(folder, "config.json")), CONFIG);
}

Deno.test("hub: a model comes into the cache's layout, without pickles and code", () =>
  withHub(async (server, cache, download) => {
    const progress: number[] = [];
    const folder = await download({ onDownload: ({ bytes }) => progress.push(bytes) });
    assert.equal(folder, join(cache, "models--org--tiny/snapshots", "a".repeat(40)));
    assertWhole(folder);
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
    assert.deepEqual(names, ["config.json", "model.safetensors", "tokenizer.json"]);
    const link = Deno.readLinkSync(join(folder, "model.safetensors"));
    assert.equal(link, `../../blobs/${sha256(WEIGHTS)}`);
    const ref = Deno.readTextFileSync(join(cache, "models--org--tiny/refs/main"));
    assert.equal(ref, "a".repeat(40));
    assert.equal(Math.max(...progress), WEIGHTS.length + CONFIG.length + 2);
    const before = server.seen.length;
    await download();
    assert.equal(server.seen.length, before + 1, "a branch is asked for, its files are not");
  }));

Deno.test("hub: the token goes to the hub and to nobody else", () =>
  withHub(async (server, _cache, download) => {
    await download();
    const sent = (host: string) =>
      new Set(server.seen.filter((seen) => seen.host === host).map((seen) => seen.authorization));
    assert.deepEqual(sent("hub"), new Set(["Bearer hf_secret"]));
    assert.deepEqual(sent("cdn"), new Set([null]));
    assert.ok(!JSON.stringify(server.parts("x", "hf_secret")).includes("hf_secret"));
    assert.ok(!Deno.inspect(server.parts("x", "hf_secret"), { depth: 9 }).includes("hf_secret"));
  }, "hf_secret"));

for (const end of ["break", "close"] as const) {
  Deno.test(`hub: a connection that ${end}s is gone on with by range`, () =>
    withHub(async (server, _cache, download) => {
      let times = 0;
      server.fault = (seen, _right, body) => {
        if (!onCdn(seen) || body === null || ++times > 3) return;
        const from = Number(/\d+/.exec(seen.range ?? "")?.[0] ?? 0);
        const rest = body.subarray(from);
        return new Response(brokenBody(rest, 50_000, end), {
          status: from === 0 ? 200 : 206,
          headers: { "content-range": `bytes ${from}-${body.length - 1}/${body.length}` },
        });
      };
      assertWhole(await download());
      const ranges = server.seen.filter(onCdn).map(({ range }) => range);
      assert.deepEqual(ranges, [null, "bytes=50000-", "bytes=100000-", "bytes=150000-"]);
    }));
}

Deno.test("hub: a server without ranges is read from the start", () =>
  withHub(async (server, _cache, download) => {
    let times = 0;
    server.fault = (seen, _right, body) => {
      if (!onCdn(seen) || body === null) return;
      return new Response(++times === 1 ? brokenBody(body, 70_000) : body);
    };
    assertWhole(await download());
  }));

Deno.test("hub: content that changes between two ranges is begun anew, and a lie is never kept", async (t) => {
  await t.step("another etag", () =>
    withHub(async (server, _cache, download) => {
      let times = 0;
      server.fault = (seen, _right, body) => {
        if (!onCdn(seen) || body === null || ++times > 2) return;
        const headers = { etag: `"${times}"`, "content-range": `bytes 40000-299999/300000` };
        return times === 1
          ? new Response(brokenBody(body, 40_000), { headers: { etag: '"1"' } })
          : new Response(noise(260_000, 9), { status: 206, headers });
      };
      assertWhole(await download());
      const ranges = server.seen.filter(onCdn).map(({ range }) => range);
      assert.deepEqual(ranges, [null, "bytes=40000-", null]);
    }));
  await t.step("the same etag: the hash tells", () =>
    withHub(async (server, _cache, download) => {
      let times = 0;
      server.fault = (seen) =>
        onCdn(seen) && ++times === 1 ? new Response(noise(300_000, 7)) : undefined;
      assertWhole(await download());
    }));
  await t.step("for ever", () =>
    withHub(async (server, cache, download) => {
      server.fault = (seen) => onCdn(seen) ? new Response(noise(300_000, 7)) : undefined;
      await assertRejects(download, "data", "model.safetensors", "SHA-256", sha256(WEIGHTS));
      const blobs = [...Deno.readDirSync(join(cache, "models--org--tiny/blobs"))];
      assert.ok(!blobs.some(({ name }) => name === sha256(WEIGHTS)));
    }));
});

Deno.test("hub: lengths that are lies end in a sentence", async (t) => {
  const lies: Record<string, [lie: () => Response, words: string]> = {
    "too long": [() => new Response(noise(300_001)), "300001"],
    // A stream has no length in its head.
    "endless": [() => new Response(brokenBody(noise(400_000), 400_000)), "more than the 300000"],
    "wrong place": [
      () =>
        new Response(noise(10), { status: 206, headers: { "content-range": "bytes 5-14/300000" } }),
      "from 5 on",
    ],
    "no such range": [() => new Response(null, { status: 416 }), "no bytes from 0 on"],
  };
  for (const [name, [lie, words]] of Object.entries(lies)) {
    await t.step(name, () =>
      withHub(async (server, _cache, download) => {
        server.fault = (seen) => onCdn(seen) ? lie() : undefined;
        await assertRejects(download, "data", "model.safetensors", words);
      }));
  }
});

Deno.test("hub: refusals say what to do", async (t) => {
  const cases: [string, number, Record<string, string>, SpielErrorKind, string[]][] = [
    ["401", 401, {}, "data", ["org/tiny", "HF_TOKEN"]],
    [
      "a bad token",
      401,
      { "x-error-message": "Invalid credentials in Authorization header" },
      "environment",
      [
        "does not know the token",
      ],
    ],
    ["gated", 403, { "x-error-code": "GatedRepo" }, "environment", [
      "gated",
      "accept its terms",
      "HF_TOKEN",
    ]],
    ["403", 403, {}, "environment", ["HF_TOKEN"]],
    ["404", 404, {}, "data", ["org/tiny", "name is right"]],
    ["no revision", 404, { "x-error-code": "RevisionNotFound" }, "data", ['no revision "main"']],
    ["418", 418, {}, "data", ["answered 418"]],
  ];
  for (const [name, status, headers, kind, words] of cases) {
    await t.step(name, () =>
      withHub(async (server, _cache, download) => {
        server.fault = () => new Response("", { status, headers });
        await assertRejects(download, kind, ...words);
        assert.equal(server.seen.length, 1, "it is not tried again");
      }));
  }
});

Deno.test("hub: 429 and 503 are waited for, as long as they ask and no longer than is sane", async (t) => {
  await t.step("they pass", () =>
    withHub(async (server, _cache, download) => {
      let times = 0;
      server.fault = ({ host }) => {
        if (host !== "hub" || ++times > 2) return undefined;
        return times === 1
          ? new Response("", { status: 429, headers: { "retry-after": "7" } })
          : new Response("", { status: 503 });
      };
      assertWhole(await download());
      assert.deepEqual(server.waits.slice(0, 2), [7000, 1500]);
    }));
  await t.step("they do not", () =>
    withHub(async (server, _cache, download) => {
      server.fault = () => new Response("", { status: 503 });
      await assertRejects(download, "interrupted", "503", "4 failures", "same command");
      assert.deepEqual(server.waits, [750, 1500, 3000]);
    }));
  await t.step("an hour is too long", () =>
    withHub(async (server, _cache, download) => {
      server.fault = () => new Response("", { status: 429, headers: { "retry-after": "3600" } });
      await assertRejects(download, "interrupted", "429", "3600 s");
    }));
});

Deno.test("hub: a drip is given up, and gone on with", () =>
  withHub(async (server, _cache, download) => {
    let times = 0;
    server.fault = (seen, _right, body) => {
      if (!onCdn(seen) || body === null || ++times > 1) return;
      let timer: ReturnType<typeof setInterval>;
      let at = 60_000;
      return new Response(
        new ReadableStream<Uint8Array>({
          start(controller) {
            controller.enqueue(body.subarray(0, at));
            timer = setInterval(() => controller.enqueue(body.subarray(at, ++at)), 20);
          },
          cancel: () => clearInterval(timer),
        }),
      );
    };
    assertWhole(await download());
    const [, second] = server.seen.filter(onCdn);
    assert.match(second?.range ?? "", /^bytes=600\d\d-$/);
  }));

Deno.test("hub: an expired signature is asked for anew, and no message shows one", () =>
  withHub(async (server, _cache, download) => {
    server.fault = (seen) => onCdn(seen) ? new Response("", { status: 403 }) : undefined;
    const error = await download().catch((error) => error);
    assert.ok(error instanceof SpielError && error.kind === "interrupted");
    assert.doesNotMatch(error.message, /signature|secret/);
    assert.equal(server.seen.filter((seen) => seen.host === "hub" && isWeights(seen)).length, 4);
  }));

Deno.test("hub: redirects in a circle and to other schemes end in a sentence", async (t) => {
  for (const location of ["/org/tiny/resolve/x/model.safetensors", "file:///etc/passwd"]) {
    await t.step(location, () =>
      withHub(async (server, _cache, download) => {
        server.fault = (seen) =>
          isWeights(seen) ? new Response(null, { status: 302, headers: { location } }) : undefined;
        await assertRejects(download, "data", "model.safetensors", "sends");
      }));
  }
});

Deno.test("hub: a full disk is told, and the download goes on when there is room", () =>
  withHub(async (server, cache, download) => {
    const parts = server.parts(cache);
    let room = 100_000;
    const disk = {
      ...parts.disk,
      resume: async (path: string, offset: number) => {
        const file = await parts.disk.resume(path, offset);
        return {
          write: (bytes: Uint8Array) => {
            room -= bytes.length;
            if (room < 0) throw systemFailure("ENOSPC");
            return file.write(bytes);
          },
          sync: () => file.sync(),
          close: () => file.close(),
        };
      },
    };
    await assertRejects(
      () => download({ hub: { ...parts, disk } }),
      "storage",
      "model.safetensors",
      "no space left",
    );
    assertWhole(await download());
    const last = server.seen.filter(onCdn).at(-1);
    assert.match(last?.range ?? "", /^bytes=[1-9]\d*-$/);
  }));

Deno.test("hub: two at once download once", () =>
  withHub(async (server, _cache, download) => {
    const folders = await Promise.all([download(), download(), download()]);
    for (const folder of folders) assertWhole(folder);
    assert.equal(server.seen.filter(onCdn).length, 1);
  }));

Deno.test("hub: a stop leaves what has come, and the next download goes on from there", () =>
  withHub(async (server, _cache, download) => {
    const stop = new AbortController();
    server.fault = (seen, _right, body) => {
      if (!onCdn(seen) || body === null) return;
      return new Response(
        new ReadableStream<Uint8Array>({ start: (c) => c.enqueue(body.subarray(0, 90_000)) }),
      );
    };
    const onDownload = ({ bytes }: { bytes: number }) => {
      if (bytes >= 90_000) stop.abort();
    };
    await assertRejects(
      () => download({ signal: stop.signal, onDownload }),
      "interrupted",
      "Stopped",
    );
    server.fault = () => undefined;
    assertWhole(await download());
    assert.equal(server.seen.filter(onCdn).at(-1)?.range, "bytes=90000-");
  }));

Deno.test("hub: a partial that is not ours is thrown away when the hash tells", () =>
  withHub(async (_server, cache, download) => {
    const blobs = join(cache, "models--org--tiny/blobs");
    Deno.mkdirSync(blobs, { recursive: true });
    for (const bytes of [noise(300_000, 5), noise(1000, 5), noise(300_001)]) {
      Deno.writeFileSync(join(blobs, `${sha256(WEIGHTS)}.incomplete`), bytes);
      assertWhole(await download());
      Deno.removeSync(cache, { recursive: true });
      Deno.mkdirSync(blobs, { recursive: true });
    }
  }));

Deno.test("hub: offline takes what is there and names what is not", () =>
  withHub(async (server, cache, download) => {
    await assertRejects(
      () => download({ offline: true }),
      "environment",
      "org/tiny",
      "not in the hub's cache",
    );
    const folder = await download();
    const before = server.seen.length;
    assert.equal(await download({ offline: true }), folder);
    Deno.removeSync(join(folder, "model.safetensors"));
    await assertRejects(
      () => download({ offline: true }),
      "environment",
      'lacks "model.safetensors"',
    );
    assert.equal(server.seen.length, before);
    assert.ok(cache !== "");
  }));

Deno.test("hub: without a network what is cached serves, with a warning; a commit asks nobody", () =>
  withHub(async (server, cache, download) => {
    const folder = await download();
    server.fault = () => new Response("", { status: 503 });
    const warnings: string[] = [];
    assert.equal(await download({ onWarning: (message) => void warnings.push(message) }), folder);
    assert.match(warnings.join(), /503.*taken from the cache, at aaaaaaaa/);
    const before = server.seen.length;
    const pinned = parseHubName("model", `org/tiny@${"a".repeat(40)}`);
    await downloadModel(pinned, { hub: server.parts(cache) });
    assert.equal(server.seen.length, before);
  }));

Deno.test("hub: a new commit is downloaded beside the old one, and shares what has not changed", () =>
  withHub(async (server, _cache, download) => {
    const old = await download();
    const repo = server.repos.get("models/org/tiny")!;
    repo.commit = "b".repeat(40);
    repo.files["tokenizer.json"] = encode('{"new":1}');
    const folder = await download();
    assertWhole(folder);
    assert.equal(Deno.readTextFileSync(join(folder, "tokenizer.json")), '{"new":1}');
    assert.equal(Deno.readTextFileSync(join(old, "tokenizer.json")), "{}");
    assert.equal(server.seen.filter(onCdn).length, 1);
  }));
