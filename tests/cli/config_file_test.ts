/** Configuration files: entries with their places, and refusals with line and column. */

import assert from "node:assert/strict";
import { parseConfig, readConfigFile } from "../../cli/config_file.ts";

Deno.test("keys come in order with values, line and column", () => {
  const text = "# a run\nlr: 1e-4\n\ndata: [a.jsonl, b.jsonl]\nmap:\n  prompt: question\n";
  assert.deepEqual(parseConfig(text, "run.yaml"), [
    { key: "lr", value: 1e-4, source: { kind: "file", path: "run.yaml", line: 2, column: 1 } },
    {
      key: "data",
      value: ["a.jsonl", "b.jsonl"],
      source: { kind: "file", path: "run.yaml", line: 4, column: 1 },
    },
    {
      key: "map",
      value: { prompt: "question" },
      source: { kind: "file", path: "run.yaml", line: 5, column: 1 },
    },
  ]);
});

Deno.test("JSON is read by the same rules", () => {
  const [entry] = parseConfig('{\n  "max_steps": 5\n}', "run.json");
  assert.deepEqual(entry, {
    key: "max_steps",
    value: 5,
    source: { kind: "file", path: "run.json", line: 2, column: 3 },
  });
});

Deno.test("an empty file has no entries", () => {
  assert.deepEqual(parseConfig("# nothing yet\n", "run.yaml"), []);
});

const REFUSED: [title: string, text: string, words: RegExp][] = [
  ["a key twice", "lr: 1\nlr: 2\n", /^run\.yaml:2:1: .*unique/],
  ["an open bracket", "data: [a\nlr: 2\n", /run\.yaml:\d+:\d+: /],
  ["a list", "- lr\n- 2\n", /^run\.yaml:1:1: expected keys with values/],
  ["a word", "fast\n", /^run\.yaml:1:1: expected keys with values/],
  ["an alias of nothing", "lr: *fast\n", /^run\.yaml.*fast/],
];

for (const [title, text, words] of REFUSED) {
  Deno.test(`refuses ${title}`, () => {
    assert.throws(() => parseConfig(text, "run.yaml"), { name: "SpielError", message: words });
  });
}

Deno.test("a missing file is named", () => {
  assert.throws(() => readConfigFile("no/such.yaml"), {
    name: "SpielError",
    message: 'Configuration file "no/such.yaml" does not exist',
  });
});
