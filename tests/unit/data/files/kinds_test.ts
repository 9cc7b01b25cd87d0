/** Every kind of data file: the same records from each, in blocks, again by their places, and gzipped. */
import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { parquetWriteBuffer } from "npm:hyparquet-writer@0.17.0";
import { CHUNK_BYTES } from "../../../../src/data/files/chunks.ts";
import {
  FILE_KINDS,
  type KnownFile,
  openRecords,
  readRecords,
  recogniseFile,
  type Watch,
} from "../../../../src/data/files/mod.ts";
import { loadDataset } from "../../../../src/data/load_dataset.ts";
import { byteTokenizer } from "../../../support/byte_tokenizer.ts";
import { withCache } from "../../../support/cache.ts";
import { assertRejects } from "../../../support/refuses.ts";
import { withTempDir } from "../../../support/temp_dir.ts";

type Records = readonly Readonly<Record<string, string>>[];

/** Texts with what breaks files: quotes, separators, breaks, what looks like markup, and another script. */
const HARD = [
  "plain",
  'a "quoted" word',
  "a,b;c\td",
  "two\nlines\r\nand three",
  '","',
  "",
  " spaces ",
  "größer 🙂",
  "[{]}\\",
  '"',
];
const RECORDS: Records = HARD.map((text, i) => ({ prompt: text, completion: `${i}` }));

const quoted = (value: string) => `"${value.replaceAll('"', '""')}"`;
const table = (separator: string) => (records: Records) =>
  [Object.keys(records[0]!), ...records.map((record) => Object.values(record))]
    .map((row) => row.map((value, i) => i === 1 ? value : quoted(value)).join(separator))
    .join("\r\n") + "\r\n";

/** How records are written in each kind. */
const WRITERS: Record<string, (records: Records) => string | Uint8Array> = {
  Parquet: (records) =>
    new Uint8Array(parquetWriteBuffer({
      columnData: Object.keys(records[0]!).map((name) => ({
        name,
        data: records.map((record) => record[name]!),
        type: "STRING",
      })),
      rowGroupSize: 4,
    })),
  JSON: (records) => JSON.stringify({ version: 1, data: records }, null, 2),
  CSV: table(","),
  TSV: table("\t"),
  "JSON Lines": (records) => records.map((record) => JSON.stringify(record)).join("\n"),
};

function write(path: string, content: string | Uint8Array): string {
  if (typeof content === "string") Deno.writeTextFileSync(path, content);
  else Deno.writeFileSync(path, content);
  return path;
}

async function allOf(file: KnownFile): Promise<Record<string, unknown>[]> {
  return (await Array.fromAsync(readRecords(file))).map(({ parse }) => parse());
}

for (const { name } of FILE_KINDS) {
  Deno.test(`${name}: records as they were written, and each again by its place`, () =>
    withTempDir(async (dir) => {
      // No extension: the content tells.
      const known = await recogniseFile(write(`${dir}/data`, WRITERS[name]!(RECORDS)));
      assert.equal(known.kind.name, name);
      assert.deepEqual(await allOf(known), RECORDS);
      using file = await openRecords(known);
      const found = await Array.fromAsync(readRecords(known));
      for (const [i, { place, where }] of [...found.entries()].reverse()) {
        assert.equal(where, known.kind.where(known.path, place));
        assert.deepEqual(await file.read(place), RECORDS[i]);
      }
      const lines = found.map(({ place }) => place.line);
      assert.deepEqual(lines, lines.toSorted((a, b) => a - b));
    }));

  Deno.test(`${name}: blocks are read apart, and are the same ones again`, () =>
    withTempDir(async (dir) => {
      const text = "word, word; word\n".repeat(30_000);
      const many = Array.from({ length: 30 }, (_, i) => ({ text, completion: `${i}` }));
      const known = await recogniseFile(write(`${dir}/data`, WRITERS[name]!(many)));
      using file = await openRecords(known);
      const blocks = await Array.fromAsync(file.blocks());
      assert.ok(blocks.length > 2, `${blocks.length}`);
      assert.deepEqual(await Array.fromAsync(file.blocks()), blocks);
      const seen: unknown[] = [];
      for (const block of blocks.toReversed()) {
        const records = (await Array.fromAsync(file.records(block))).map(({ parse }) => parse());
        seen.unshift(...records.map(({ completion }) => completion));
        for (const record of records) assert.equal(record.text, text);
      }
      assert.deepEqual(seen, many.map(({ completion }) => completion));
    }));

  Deno.test(`${name}: the same when it is gzipped, and unpacked once`, () =>
    withCache(async (cache) => {
      const packed = gzipSync(WRITERS[name]!(RECORDS));
      const known = await recogniseFile(write(`${cache}/data.gz`, packed));
      assert.deepEqual(await allOf(known), RECORDS);
      assert.equal(known.path, `${cache}/data.gz`);
      const before = Deno.statSync(known.content).mtime;
      const again = await recogniseFile(write(`${cache}/copy.gz`, packed));
      assert.equal(again.content, known.content);
      assert.deepEqual(Deno.statSync(known.content).mtime, before);
    }));
}

for (const name of ["JSON", "CSV", "TSV", "JSON Lines"]) {
  Deno.test(`${name}: signs on both sides of a chunk's end are understood`, () =>
    withTempDir(async (dir) => {
      const signs = '\\"",\r\n\t{[}]';
      for (let shift = 0; shift < 40; shift++) {
        const filling = "x".repeat(CHUNK_BYTES - 40 - shift);
        const records = [{ prompt: filling + signs, completion: "1" }, {
          prompt: signs,
          completion: "2",
        }];
        const known = await recogniseFile(write(`${dir}/a`, WRITERS[name]!(records)));
        assert.deepEqual(await allOf(known), records);
      }
    }));
}

Deno.test("what was unpacked is taken when it is whole; what is left of others is removed", () =>
  withCache(async (cache) => {
    const text = '{"text":"a"}\n{"text":"b"}\n';
    const path = write(`${cache}/data.jsonl.gz`, gzipSync(text));
    const { content } = await recogniseFile(path);
    const folder = `${cache}/unpacked`;
    const old = Date.now() / 1000 - 4000;
    const times = [["tmp-old", old], ["tmp-new", old + 3990], [
      "unused-1",
      old - 31 * 86_400,
    ]] as const;
    for (const [name, time] of times) {
      Deno.utimeSync(write(`${folder}/${name}`, "half"), time, time);
    }
    for (const left of [text.length - 3, 0]) {
      Deno.truncateSync(content, left);
      assert.equal((await recogniseFile(path)).content, content);
      assert.equal(Deno.readTextFileSync(content), text);
    }
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
    assert.deepEqual(names, [content.slice(folder.length + 1), "tmp-new"].sort());
  }));

Deno.test("large files are followed while they are unpacked, known again and cut, and a stop stops that", () =>
  withCache(async (cache) => {
    const line = `{"text":"${"x".repeat(1 << 20)}"}\n`;
    const text = new TextEncoder().encode(line.repeat(40));
    const packed = gzipSync(text, { level: 0 });
    const path = write(`${cache}/large.jsonl.gz`, packed);
    const seen: [string, number][] = [];
    const onLooking = (name: string, share: number) => void seen.push([name, share]);
    await recogniseFile(path, { onLooking });
    assert.deepEqual(seen.map(([name]) => name), Array(4).fill(path), "hashed, then unpacked");
    assert.ok(seen.every(([, share]) => share > 0 && share < 1));
    const stopped = () => recogniseFile(path, { signal: AbortSignal.abort() });
    await assertRejects(stopped, "interrupted");
    const load = (watch: Watch) =>
      loadDataset({
        ...{ paths: [path], tokenizer: byteTokenizer(), maxLength: 9, workers: 0, ...watch },
        cache: `${cache}/other`,
      });
    let turns = 0;
    const stop = new AbortController();
    const stopAt = (last: number) => () => {
      if (++turns === last) stop.abort();
    };
    // Two pauses know the packed file again, two the unpacked one; two more cut it into blocks.
    await assertRejects(
      () => load({ signal: stop.signal, onLooking: stopAt(6) }),
      "interrupted",
      "looking at the data",
    );
    assert.equal(turns, 6);
  }));

Deno.test("the name tells what the content does not: a table of one column", () =>
  withTempDir(async (dir) => {
    for (const extension of ["csv", "TSV"]) {
      const known = await recogniseFile(write(`${dir}/a.${extension}`, "text\none\n\n two \n"));
      assert.equal(known.kind.name, extension.toUpperCase());
      assert.deepEqual(await allOf(known), [{ text: "one" }, { text: " two " }]);
    }
    // What is JSON Lines stays that.
    const lines = await recogniseFile(write(`${dir}/b.csv`, '{"text":"a"}\n'));
    assert.equal(lines.kind.name, "JSON Lines");
  }));

Deno.test("CSV: a mark, semicolons, line numbers behind breaks in fields, and rows that are wrong", () =>
  withTempDir(async (dir) => {
    const text = '\uFEFF"prompt";completion\n"a\nb";c\n\nd;e;f\n"g"h;i\nj;"k;\r\n""l"\r\n';
    const known = await recogniseFile(write(`${dir}/a.csv`, text));
    const [first, long, behind, last] = await Array.fromAsync(readRecords(known));
    assert.deepEqual(first?.parse(), { prompt: "a\nb", completion: "c" });
    assert.deepEqual(last?.parse(), { prompt: "j", completion: 'k;\r\n"l' });
    const wheres = [first, long, behind, last].map((record) => record?.where);
    assert.deepEqual(wheres, [2, 5, 6, 7].map((line) => `${dir}/a.csv:${line}`));
    assert.throws(() => long?.parse(), /:5: the row has 3 fields; expected 2, as the columns are/);
    assert.throws(() => behind?.parse(), /:6: field 1 goes on behind its closing quote/);
  }));

Deno.test("CSV: as many columns as may be named take no time, and a row of commas little room", () =>
  withTempDir(async (dir) => {
    const names = Array.from({ length: 10_000 }, (_, i) => `c${i}`).join();
    const text = `${names}\n${names}\n${",".repeat(1_000_000)}\n`;
    const known = await recogniseFile(write(`${dir}/a.csv`, text));
    const [row, commas] = await Array.fromAsync(readRecords(known));
    assert.equal(Object.keys(row!.parse()).length, 10_000);
    assert.throws(() => commas?.parse(), /:3: the row has at least 10001 fields; expected 10000/);
  }));

/** Files that are wrong as a whole, and what is said of them. */
const WRONG: [title: string, name: string, content: string | Uint8Array, ...words: string[]][] = [
  ["a quote that is never closed", "a.csv", 'text\n"one\ntwo\n', ":2: a quote that is opened here"],
  ["a column twice", "a.csv", "a,a\n1,2\n", ':1: the column "a" is named twice'],
  [
    "columns without end",
    "a.csv",
    Array.from({ length: 60_000 }, (_, i) => `c${i}`).join(),
    ":1: more than 10000 columns are named",
  ],
  ["a list that is cut", "a.json", '[{"text":"a"},{"te', "ends, or closes an object, inside its"],
  ["a list that is mixed up", "a.json", '[{"text":"a"}}', "ends, or closes an object, inside its"],
  ["something behind a list", "a.json", '[{"text":"a"}] x', "goes on behind its list"],
  [
    "two lists",
    "a.json",
    '{"train":[{"text":"a"}],"test":[{"text":"b"}]}',
    'has the lists "train" and "test"; expected one',
  ],
  ["cut Parquet", "a.parquet", "PAR1cut", "not a sound Parquet file"],
  ["cut gzip", "a.jsonl.gz", gzipSync("x".repeat(9999)).subarray(0, 30), "is damaged, or cut"],
  ["no gzip", "a.gz", Uint8Array.of(0x1F, 0x8B, 9, 9, 9, 9), "is damaged, or cut"],
  ["a bomb", "a.gz", gzipSync(new Uint8Array(80 << 20)), "unpacks to more than 67108864"],
  ["gzip in gzip", "a.gz", gzipSync(gzipSync("{}")), "compressed with gzip twice"],
];

for (const [title, name, content, ...words] of WRONG) {
  Deno.test(`refuses ${title}`, () =>
    withCache(async (dir) => {
      Deno.mkdirSync(`${dir}/unpacked`);
      const path = write(`${dir}/${name}`, content);
      await assertRejects(
        async () => await allOf(await recogniseFile(path)),
        "data",
        path,
        ...words,
      );
      // Nothing half unpacked is left.
      const left = [...Deno.readDirSync(`${dir}/unpacked`)].map(({ name }) => name);
      assert.deepEqual(left.filter((name) => name.startsWith("tmp-")), []);
    }));
}

Deno.test("JSON: a record that is wrong is told by its row, and the next is read", () =>
  withTempDir(async (dir) => {
    const text = '[{"text":"a"}, 3, {"text" "b"},\n{"text":"c","text":"d"},{"text":"e"},]';
    const known = await recogniseFile(write(`${dir}/a.json`, text));
    const found = await Array.fromAsync(readRecords(known));
    assert.deepEqual(
      found.map(({ where }) => where),
      [1, 2, 3, 4, 5, 6].map((row) => `${dir}/a.json:row ${row}`),
    );
    assert.throws(() => found[1]!.parse(), /row 2: not a JSON object/);
    assert.throws(() => found[2]!.parse(), /row 3: not valid JSON/);
    assert.throws(() => found[3]!.parse(), /row 4: the field "text" is given twice/);
    assert.deepEqual(found[4]!.parse(), { text: "e" });
    assert.throws(() => found[5]!.parse(), /row 6: not valid JSON: Unexpected end/);
  }));

Deno.test("JSON: an empty list has no records, and an object that is a record is no list", () =>
  withTempDir(async (dir) => {
    const empty = await recogniseFile(write(`${dir}/a.json`, "[\n]\n"));
    assert.deepEqual([empty.kind.name, await allOf(empty)], ["JSON", []]);
    const record = '{"messages":[{"role":"user","content":"q"}]}';
    const lines = await recogniseFile(write(`${dir}/b.json`, record));
    assert.equal(lines.kind.name, "JSON Lines");
    const wrapped = await recogniseFile(
      write(`${dir}/c.json`, `{"info":{"a":[1]},"rows":[${record}]}`),
    );
    assert.equal(wrapped.kind.name, "JSON");
    assert.equal((await allOf(wrapped)).length, 1);
  }));

/** What a file begins with, and the kind that it is. */
const KINDS: [title: string, content: string, kind: string][] = [
  ["an array in one line", '[{"text":"a"},{"text":"b"}]', "JSON"],
  ["an array of lines", '[\n{"text":"a"},\n{"text":"b"}\n]\n', "JSON"],
  ["a printed array", '\uFEFF[\n  {\n    "text": "a"\n  }\n]\n', "JSON"],
  ["a long array", `[{"text":"${"a".repeat(300_000)}"}]`, "JSON"],
  ["a long object with a list", `{"a": 1, "data":[{"text":"${"a".repeat(300_000)}"}]}`, "JSON"],
  ["a long line", `{"text":"${"a".repeat(300_000)}","tags":[{"a":1}]}\n{"text":"b"}`, "JSON Lines"],
  ["CSV", 'prompt,completion\n"a, b",c\n', "CSV"],
  ["quoted CSV", '"the prompt","answer"\r\na,b\r\n', "CSV"],
  ["CSV of semicolons", "prompt;completion\na;b\n", "CSV"],
  ["TSV", "prompt\tcompletion\na\tb\n", "TSV"],
  ["prose with a comma", "Well, then\nthere was\n", "JSON Lines"],
];

for (const [title, content, kind] of KINDS) {
  Deno.test(`takes ${title} for ${kind}`, () =>
    withTempDir(async (dir) => {
      assert.equal((await recogniseFile(write(`${dir}/a`, content))).kind.name, kind);
    }));
}

Deno.test({
  name: "refuses a pipe, which would be waited for, and a device",
  ignore: Deno.build.os === "windows",
  fn: () =>
    withTempDir(async (dir) => {
      const pipe = `${dir}/pipe`;
      assert.ok(new Deno.Command("mkfifo", { args: [pipe] }).outputSync().success);
      for (const path of [pipe, "/dev/null"]) {
        await assertRejects(
          () => recogniseFile(path),
          "data",
          path,
          "a pipe or a device",
          "a file",
        );
      }
    }),
});
