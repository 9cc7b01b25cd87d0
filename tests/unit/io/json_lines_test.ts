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
    assert.deepEqual(lines.map(({ line }) => line), [1, 4, 5, 6]);
    assert.deepEqual(lines.map(({ record }) => String(record.a).length), [1, 700_000, 700_001, 1]);
    for (const { record, ...place } of lines) assert.deepEqual(readJsonLine(path, place), record);
  }));

Deno.test("bad records are named by file and line", () =>
  withTempDir((dir) => {
    const path = `${dir}/bad.jsonl`;
    const good = new TextEncoder().encode('{"a":1}\n');
    const bad: [Uint8Array, string][] = [
      [new TextEncoder().encode("{"), "not valid JSON"],
      [new TextEncoder().encode("[1]"), "not a JSON object"],
      [new TextEncoder().encode("null"), "not a JSON object"],
      [Uint8Array.of(0x22, 0xFF, 0x22), "not valid UTF-8"],
      [new Uint8Array(MAX_RECORD_BYTES + 1).fill(0x20), "longer than"],
    ];
    for (const [bytes, fragment] of bad) {
      Deno.writeFileSync(path, good);
      Deno.writeFileSync(path, bytes, { append: true });
      Deno.writeTextFileSync(path, "\n{}", { append: true });
      assertRefuses(() => [...readJsonLines(path)], "data", `${path}:2`, fragment);
    }
  }));
