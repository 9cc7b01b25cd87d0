/** JSON Lines: records of any chunking are found, and bad ones are named by file and line. */
import assert from "node:assert/strict";
import { MAX_RECORD_BYTES, readJsonLine, readJsonLines } from "../../../src/io/json_lines.ts";
import { assertRefuses } from "../../support/refuses.ts";
import { withTempDir } from "../../support/temp_dir.ts";

Deno.test("records are found across chunks, with their lines", () =>
  withTempDir((dir) => {
    const path = `${dir}/a.jsonl`;
    const long = "x".repeat(700_000);
    const text = `\uFEFF{"a":1}\r\n\n  \n{"a":"${long}"}\n{"a":"${long}\u00e9"}\n{"a":4}`;
    Deno.writeTextFileSync(path, text);
    const lines = [...readJsonLines(path)];
    assert.deepEqual(lines.map(({ place }) => place.line), [1, 4, 5, 6]);
    const records = lines.map(({ parse }) => parse());
    assert.deepEqual(records.map(({ a }) => String(a).length), [1, 700_000, 700_001, 1]);
    lines.forEach(({ place }, i) => assert.deepEqual(readJsonLine(path, place), records[i]));
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
    withTempDir((dir) => {
      const path = `${dir}/bad.jsonl`;
      Deno.writeTextFileSync(path, '{"a":1}\n');
      const bytes = typeof line === "string" ? new TextEncoder().encode(line) : line;
      Deno.writeFileSync(path, bytes, { append: true });
      Deno.writeTextFileSync(path, '\n{"a":3}', { append: true });
      const [first, bad, next] = [...readJsonLines(path)];
      assert.deepEqual([first?.parse(), next?.parse()], [{ a: 1 }, { a: 3 }]);
      assert.equal(next?.where, `${path}:3`);
      assertRefuses(() => bad?.parse(), "data", `${path}:2: `, words);
    }));
}

Deno.test("names in texts and in several objects are no repeated fields", () =>
  withTempDir((dir) => {
    const path = `${dir}/good.jsonl`;
    const record = { a: '"a": "a":', list: [{ a: 1 }, { a: 2 }, "a", "a"], b: { a: { a: "\\" } } };
    Deno.writeTextFileSync(path, JSON.stringify(record));
    assert.deepEqual([...readJsonLines(path)].map(({ parse }) => parse()), [record]);
  }));
