/** JSON Lines: records of any chunking are found, and bad ones are named by file and line. */
import assert from "node:assert/strict";
import { MAX_RECORD_BYTES } from "../../../../src/data/files/chunks.ts";
import { jsonLines } from "../../../../src/data/files/json_lines.ts";
import type { RecordAt } from "../../../../src/data/files/mod.ts";
import { assertRefuses, assertRejects } from "../../../support/refuses.ts";
import { withTempDir } from "../../../support/temp_dir.ts";

/** All records of a file, block after block. */
async function recordsOf(path: string): Promise<RecordAt[]> {
  using file = await jsonLines.open(path, path);
  const records: RecordAt[] = [];
  for await (const block of file.blocks()) {
    for await (const record of file.records(block)) records.push(record);
  }
  return records;
}

Deno.test("records are found across chunks, with their lines", () =>
  withTempDir(async (dir) => {
    const path = `${dir}/a.jsonl`;
    const long = "x".repeat(700_000);
    const text = `\uFEFF{"a":1}\r\n\n  \n{"a":"${long}"}\n{"a":"${long}\u00e9"}\n{"a":4}`;
    Deno.writeTextFileSync(path, text);
    const lines = await recordsOf(path);
    assert.deepEqual(lines.map(({ place }) => place.line), [1, 4, 5, 6]);
    const records = lines.map(({ parse }) => parse());
    assert.deepEqual(records.map(({ a }) => String(a).length), [1, 700_000, 700_001, 1]);
    using file = await jsonLines.open(path, path);
    for (const [i, { place }] of lines.entries()) {
      assert.deepEqual(await file.read(place), records[i]);
    }
    Deno.truncateSync(path, 5);
    await assertRejects(() => file.read(lines[1]!.place), "data", path);
  }));

Deno.test("blocks are whole lines, together the file, and each is read apart from the others", () =>
  withTempDir(async (dir) => {
    const path = `${dir}/a.jsonl`;
    const text = "y".repeat(90_000);
    Deno.writeTextFileSync(path, "\uFEFF\n");
    // More than two blocks, and a line that is longer than one.
    for (let i = 0; i < 100; i++) {
      const record = { i, text: i === 50 ? text.repeat(60) : text };
      Deno.writeTextFileSync(path, `${JSON.stringify(record)}\n`, { append: true });
    }
    using file = await jsonLines.open(path, path);
    const blocks = await Array.fromAsync(file.blocks());
    assert.ok(blocks.length > 3);
    assert.deepEqual(
      blocks.map(({ start }) => start),
      [0, ...blocks.map(({ end }) => end)].slice(0, -1),
    );
    assert.equal(blocks.at(-1)?.end, Deno.statSync(path).size);
    const seen = new Map<number, unknown>();
    for (const block of blocks.toReversed()) {
      for await (const { place, where, parse } of file.records(block)) {
        assert.equal(where, `${path}:${place.line}`);
        seen.set(place.line, parse().i);
      }
    }
    assert.equal(seen.size, 100);
    for (const [line, i] of seen) assert.equal(i, line - 2);
  }));

/** A line and what is said of it. */
const BAD: [title: string, line: string | Uint8Array, words: string][] = [
  ["cut JSON", "{", "not valid JSON: Expected property name or '}' at column 2"],
  ["no JSON", "x", `not valid JSON: Unexpected token 'x', "x"`],
  ["a list", "[1]", "not a JSON object"],
  ["null", "null", "not a JSON object"],
  ["no UTF-8", Uint8Array.of(0x22, 0xFF, 0x22), "not valid UTF-8 text"],
  ["a field twice", '{"a":1,"b":{"c":1},"a":2}', 'the field "a" is given twice'],
  ["a field twice inside", '{"a":[{"\\"b":1, "\\u0022b" : 2}]}', 'field "\\"b" is given twice'],
  ["too much", new Uint8Array(MAX_RECORD_BYTES + 1).fill(0x20), "longer than 8388608 bytes"],
];

for (const [title, line, words] of BAD) {
  Deno.test(`${title} is refused by file and line, and the next line is read`, () =>
    withTempDir(async (dir) => {
      const path = `${dir}/bad.jsonl`;
      Deno.writeTextFileSync(path, '{"a":1}\n');
      const bytes = typeof line === "string" ? new TextEncoder().encode(line) : line;
      Deno.writeFileSync(path, bytes, { append: true });
      Deno.writeTextFileSync(path, '\n{"a":3}', { append: true });
      const [first, bad, next] = await recordsOf(path);
      assert.deepEqual([first?.parse(), next?.parse()], [{ a: 1 }, { a: 3 }]);
      assert.equal(next?.where, `${path}:3`);
      assertRefuses(() => bad?.parse(), "data", `${path}:2: `, words);
    }));
}

Deno.test("names in texts and in several objects are no repeated fields", () =>
  withTempDir(async (dir) => {
    const path = `${dir}/good.jsonl`;
    const record = { a: '"a": "a":', list: [{ a: 1 }, { a: 2 }, "a", "a"], b: { a: { a: "\\" } } };
    Deno.writeTextFileSync(path, JSON.stringify(record));
    assert.deepEqual((await recordsOf(path)).map(({ parse }) => parse()), [record]);
  }));
