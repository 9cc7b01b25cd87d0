/** Prepared data: the same for any number of workers, kept for later runs, and never taken when damaged. */
import assert from "node:assert/strict";
import type { Dataset } from "../../../../src/data/dataset.ts";
import { type DatasetOptions, loadDataset } from "../../../../src/data/load_dataset.ts";
import { denoFiles } from "../../../../src/io/files.ts";
import { byteTokenizer, byteTokenizerParts } from "../../../support/byte_tokenizer.ts";
import { FaultyFiles } from "../../../support/faulty_files.ts";
import { assertRejects } from "../../../support/refuses.ts";
import { withTempDir } from "../../../support/temp_dir.ts";

/** More than two blocks, with bad lines of many reasons. */
const LINES = Array.from({ length: 18_000 }, (_, i) => {
  if (i % 1000 === 7) return "{";
  if (i % 1500 === 9) return JSON.stringify({ prompt: i, completion: "c" });
  if (i % 4000 === 5) return JSON.stringify({ prompt: "p".repeat(i % 90 + 90), completion: "c" });
  return JSON.stringify({ prompt: `p${i}`, completion: `c${i % 7}` });
});

/** The prompts and completions are as they are, without a template, which takes most of the time. */
const TOKENIZER = byteTokenizer({ chatTemplate: null });

const load = (path: string, options: Partial<DatasetOptions> = {}): Promise<Dataset> =>
  loadDataset({
    ...{ paths: [path], tokenizer: TOKENIZER, maxLength: 40, bad: "skip", workers: 0 },
    ...options,
  });

/** All that can be seen of a data set. */
async function viewOf(dataset: Dataset): Promise<unknown> {
  const questions = await Array.fromAsync(dataset.questions());
  const some = [0, 1, 8191, 8192, dataset.length - 1];
  return {
    counts: dataset.counts,
    fingerprint: dataset.fingerprint,
    bad: [dataset.badNotice, dataset.bad, dataset.badExamples],
    ends: dataset.endNotice,
    examples: some.map((i) => [dataset.origin(i), dataset.example(i)]),
    prompts: [questions.length, some.map((i) => questions[i])],
  };
}

/** Names and contents of all shards in a cache. */
function shardsIn(cache: string): Map<string, Uint8Array> {
  const shards = new Map<string, Uint8Array>();
  for (const { name: key } of Deno.readDirSync(`${cache}/tokens`)) {
    for (const { name } of Deno.readDirSync(`${cache}/tokens/${key}`)) {
      shards.set(
        `${cache}/tokens/${key}/${name}`,
        Deno.readFileSync(`${cache}/tokens/${key}/${name}`),
      );
    }
  }
  return new Map([...shards].sort());
}

Deno.test("data is prepared alike in this process, by workers, and from the cache", () =>
  withTempDir(async (dir) => {
    const path = `${dir}/data.jsonl`;
    Deno.writeTextFileSync(path, LINES.join("\n"));
    const expected = await viewOf(await load(path));
    assert.deepEqual(await viewOf(await load(path, { workers: 3 })), expected);
    let made: Map<string, Uint8Array> | undefined;
    for (const workers of [0, 1, 2]) {
      const cache = `${dir}/cache${workers}`;
      assert.deepEqual(await viewOf(await load(path, { workers, cache })), expected);
      const shards = shardsIn(cache);
      assert.equal(shards.size, 3);
      made ??= shards;
      assert.deepEqual([...shards.values()], [...made.values()], "no byte depends on the workers");
    }
    // A reading that would have to make anything fails at the full disk.
    const files = new FaultyFiles(denoFiles, {
      at: 0,
      kind: "error",
      code: "ENOSPC",
      call: "create",
    });
    assert.deepEqual(await viewOf(await load(path, { cache: `${dir}/cache1`, files })), expected);
  }));

Deno.test("whatever is wrong with a kept shard, it is made anew", () =>
  withTempDir(async (dir) => {
    const path = `${dir}/data.jsonl`;
    const cache = `${dir}/cache`;
    Deno.writeTextFileSync(path, LINES.join("\n"));
    const { fingerprint } = await load(path, { cache });
    const [first, second, third] = [...shardsIn(cache)];
    const damages: [string, () => void][] = [
      ["cut", () => Deno.truncateSync(first![0], first![1].length - 9)],
      ["empty", () => Deno.truncateSync(first![0], 0)],
      ["removed", () => Deno.removeSync(second![0])],
      ["that of another block", () => Deno.copyFileSync(first![0], second![0])],
      ["flipped tokens", () => {
        const bytes = third![1].slice();
        bytes[bytes.length - 5]! ^= 1;
        Deno.writeFileSync(third![0], bytes);
      }],
      ["a flipped reason", () => {
        const text = new TextDecoder("latin1").decode(third![1]).replace("not valid", "now valid");
        Deno.writeFileSync(third![0], Uint8Array.from(text, (one) => one.charCodeAt(0)));
      }],
    ];
    for (const [title, damage] of damages) {
      damage();
      const again = await load(path, { cache });
      assert.equal(again.fingerprint, fingerprint, title);
      assert.deepEqual([...shardsIn(cache)], [first, second, third], title);
    }
  }));

Deno.test("what is kept is found by all that it depends on, and by nothing else", () =>
  withTempDir(async (dir) => {
    const lines = LINES.slice(10, 40);
    const path = `${dir}/data.jsonl`;
    const cache = `${dir}/cache`;
    const keys = () => [...Deno.readDirSync(`${cache}/tokens`)].length;
    Deno.writeTextFileSync(path, lines.join("\n"));
    await load(path, { cache });
    assert.equal(keys(), 1);
    Deno.renameSync(path, `${dir}/moved.jsonl`);
    const elsewhere = byteTokenizer({ chatTemplate: null, where: "elsewhere" });
    const moved = await load(`${dir}/moved.jsonl`, { cache, tokenizer: elsewhere });
    assert.equal(keys(), 1, "a name has no part in it");
    assert.equal(moved.origin(0), `${dir}/moved.jsonl:1`);
    const parts = byteTokenizerParts({ chatTemplate: null });
    const others: Partial<DatasetOptions>[] = [
      { maxLength: 41 },
      { map: { prompt: "completion" } },
      { tokenizer: byteTokenizer() },
      { tokenizer: byteTokenizer({ chatTemplate: null, eosToken: null }) },
      {
        tokenizer: byteTokenizer({ chatTemplate: null }, {
          ...parts.json,
          normalizer: { type: "NFC" },
        }),
      },
    ];
    for (const [i, other] of others.entries()) {
      await load(`${dir}/moved.jsonl`, { cache, ...other });
      assert.equal(keys(), i + 2, JSON.stringify(Object.keys(other)));
    }
    Deno.writeTextFileSync(path, [...lines, ""].join("\n"));
    await load(path, { cache });
    assert.equal(keys(), others.length + 2, "other content");
  }));

Deno.test("what a killed program has left is removed, and not what another is writing", () =>
  withTempDir(async (dir) => {
    const path = `${dir}/data.jsonl`;
    const cache = `${dir}/cache`;
    Deno.writeTextFileSync(path, LINES.slice(10, 20).join("\n"));
    await load(path, { cache });
    const [[shard = ""] = []] = shardsIn(cache);
    const folder = shard.slice(0, shard.lastIndexOf("/"));
    const now = Date.now() / 1000;
    for (const [name, age] of [["tmp-old", 4000], ["tmp-new", 10]] as const) {
      Deno.writeTextFileSync(`${folder}/${name}`, "half");
      Deno.utimeSync(`${folder}/${name}`, now - age, now - age);
    }
    await load(path, { cache });
    assert.deepEqual([...shardsIn(cache).keys()], [shard, `${folder}/tmp-new`]);
  }));

Deno.test("a cache that cannot be written is told with its folder, and leaves no half shard", () =>
  withTempDir(async (dir) => {
    const path = `${dir}/data.jsonl`;
    const cache = `${dir}/cache`;
    Deno.writeTextFileSync(path, LINES.slice(10, 20).join("\n"));
    const full = (call: string) =>
      new FaultyFiles(denoFiles, { at: 0, kind: "error", code: "ENOSPC", call });
    for (const call of ["create", "write", "rename", "makeFolder"]) {
      const refused = () => load(path, { cache, files: full(call) });
      await assertRejects(refused, "storage", cache, "no space left", "SPIEL_CACHE");
      if (call !== "makeFolder") assert.equal(shardsIn(cache).size, 0, call);
    }
    const inTheWay = `${dir}/file`;
    Deno.writeTextFileSync(inTheWay, "");
    await assertRejects(() => load(path, { cache: inTheWay }), "storage", inTheWay);
    await load(path, { cache: null });
  }));

Deno.test("a stop stops all workers, and keeps what is done", () =>
  withTempDir(async (dir) => {
    const path = `${dir}/data.jsonl`;
    Deno.writeTextFileSync(path, LINES.join("\n"));
    const seen: [number, number][] = [];
    const abort = new AbortController();
    const onProgress = (examples: number, share: number) => {
      seen.push([examples, share]);
      if (share > 0) abort.abort();
    };
    const { signal } = abort;
    const cache = `${dir}/cache`;
    await assertRejects(() => load(path, { workers: 2, signal, onProgress, cache }), "interrupted");
    assert.deepEqual(seen[0], [256, 0]);
    assert.ok(seen.every(([examples], i) => i === 0 || examples > seen[i - 1]![0]));
    assert.ok(seen.at(-1)![1] > 0);
    assert.ok(shardsIn(cache).size >= 1, "what was done is kept");
  }));

Deno.test("lines of which each has a reason of its own are kept, counted and told like others", () =>
  withTempDir(async (dir) => {
    const path = `${dir}/data.jsonl`;
    const odd = Array.from({ length: 8000 }, (_, i) => ({ [`${i}${"长".repeat(200)}`]: 1 }));
    const lines = [{ prompt: "p", completion: "c" }, ...odd];
    Deno.writeTextFileSync(path, lines.map((line) => JSON.stringify(line)).join("\n"));
    const told = ({ badExamples, badNotice, fingerprint }: Dataset) => [
      badExamples,
      badNotice,
      fingerprint,
    ];
    const inMemory = told(await load(path));
    assert.equal(inMemory[0], 8000);
    assert.match(String(inMemory[1]), /7990 more/);
    for (const _ of ["made", "from the cache"]) {
      assert.deepEqual(told(await load(path, { cache: `${dir}/cache` })), inMemory);
    }
    const size = [...shardsIn(`${dir}/cache`).values()].reduce(
      (sum, { length }) => sum + length,
      0,
    );
    assert.ok(size < 1 << 20, `${size} bytes for reasons of which few are told`);
  }));

Deno.test("a file that is changed while it is prepared is refused, and the cache stays right", () =>
  withTempDir(async (dir) => {
    const path = `${dir}/data.jsonl`;
    const cache = `${dir}/cache`;
    const text = LINES.join("\n");
    const write = (content: string) => Deno.writeTextFileSync(path, content);
    write(text);
    const { fingerprint } = await load(path, { cache: null });
    const changes: [string, () => void][] = [
      ["written to", () => write(text.replaceAll('"c', '"d'))],
      ["replaced", () => {
        Deno.writeTextFileSync(`${path}.new`, text.replaceAll('"c', '"d'));
        Deno.renameSync(`${path}.new`, path);
      }],
    ];
    for (const [title, change] of changes) {
      let isChanged = false;
      const onProgress = () => {
        if (!isChanged) change();
        isChanged = true;
      };
      for (const kept of [cache, null]) {
        write(text);
        isChanged = false;
        const refused = () => load(path, { cache: kept, onProgress });
        await assertRejects(refused, "data", path, "changed while it was read");
      }
      write(text);
      assert.equal((await load(path, { cache })).fingerprint, fingerprint, title);
      Deno.removeSync(cache, { recursive: true });
    }
  }));

Deno.test("much data is kept where the environment says, little data nowhere", () =>
  withTempDir(async (dir) => {
    const before = Deno.env.get("SPIEL_CACHE");
    Deno.env.set("SPIEL_CACHE", `${dir}/cache`);
    try {
      const line = '{"prompt":"p","completion":"c"}\n';
      const small = `${dir}/small.jsonl`;
      Deno.writeTextFileSync(small, line);
      const options = { workers: undefined };
      const { fingerprint } = await load(small, options);
      assert.throws(() => Deno.statSync(`${dir}/cache`), Deno.errors.NotFound);
      const large = `${dir}/large.jsonl`;
      Deno.writeTextFileSync(large, `${" ".repeat(5 << 20)}\n${line}`);
      assert.equal((await load(large, options)).fingerprint, fingerprint);
      assert.ok(shardsIn(`${dir}/cache`).size > 0);
      const both = await loadDataset({
        ...{ paths: [small, large], tokenizer: TOKENIZER, maxLength: 40 },
        cache: null,
      });
      assert.equal(both.withoutRepeats().fingerprint, fingerprint);
    } finally {
      if (before === undefined) Deno.env.delete("SPIEL_CACHE");
      else Deno.env.set("SPIEL_CACHE", before);
    }
  }));

Deno.test("a worker that breaks down is told, with the way around it", () =>
  withTempDir(async (dir) => {
    const path = `${dir}/data.jsonl`;
    Deno.writeTextFileSync(path, LINES[0]!);
    const tokenizer = byteTokenizer({ chatTemplate: null });
    // Only a worker makes its tokenizer from the parts.
    Object.assign(tokenizer, { parts: { ...tokenizer.parts, json: {} } });
    const broken = () => load(path, { workers: 1, tokenizer });
    await assertRejects(broken, "internal", "A worker", "data_workers 0 prepares it without");
  }));
