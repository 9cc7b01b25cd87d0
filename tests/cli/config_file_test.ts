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

const ENTRY = /^run\.yaml:\d+:1: expected a key with a value such as "lr: 0\.001", with a space/;

const REFUSED: [title: string, text: string, words: RegExp][] = [
  ["a key twice", "lr: 1\nlr: 2\n", /^run\.yaml:2:1: lr is given twice$/],
  [
    "keys twice",
    "lr: 1\nlr: 2\nout: a\n'out': b\n",
    /2:1: lr is given.*\n.*4:1: out is given twice/,
  ],
  ["a key twice inside", "map: {a: b, a: c}\n", /^run\.yaml:1:13: a is given twice$/],
  ["a key twice in JSON", '{"lr": 1, "lr": 2}', /^run\.yaml:1:11: lr is given twice$/],
  ["an open bracket", "data: [a\nlr: 2\n", /^run\.yaml:2:1: a bracket that was opened before/],
  ["an open bracket at the end", '{\n"lr": 1,\n', /:3:1: a bracket that was opened before is not/],
  ["an open quote", 'out: "abc\nlr: 1\n', /:3:1: a " that was opened before is not closed$/],
  ["no colon", "model: m\nlr 0.001\nout: x\n", ENTRY],
  ["no space after the colon", "model: m\nlr:0.001\nout: x\n", ENTRY],
  ["equals signs", "model = m\nlr = 1\n", /^run\.yaml:1:1: expected keys with values/],
  ["no comma", '{\n "lr": 1\n "out": 2\n}', /:2:8: a comma or a closing bracket is missing$/],
  ["a tab", "map:\n\tprompt: q\n", /^run\.yaml:2:1: a tab indents the line; expected spaces$/],
  ["an uneven line", "map:\n  a: b\n c: d\n", /:3:1: the line is indented otherwise than its/],
  ["an indented line", "lr: 1\n  out: x\n", /:1:5: a second key or list inside a value; .* indent/],
  ["a colon in a value", "out: C: x\n", /:1:6: a second key or list inside a value; put .*quotes/],
  [
    "a value that YAML keeps for itself",
    "out: @x\n",
    /:1:6: a value cannot begin with @; .*quotes/,
  ],
  ["an escape that is none", 'out: "C:\\data"\n', /:1:9: a backslash in double quotes .*twice$/],
  ["two documents", "lr: 1\n---\nlr: 2\n", /:2:1: a second document begins here; expected one$/],
  ["one bracket too many", "data: [a]]\n", /^run\.yaml:1:10: "\]" is not expected here$/],
  ["a list", "- lr\n- 2\n", /^run\.yaml:1:1: expected keys with values/],
  ["a word", "fast\n", /^run\.yaml:1:1: expected keys with values/],
  ["a list for a key", "? [lr]\n: 1\n", /^run\.yaml:1:3: expected a key such as lr$/],
  [
    "an alias of nothing",
    "data: [*.jsonl]\n",
    /^run\.yaml:1:8: \*\.jsonl stands for nothing .*quotes/,
  ],
];

for (const [title, text, words] of REFUSED) {
  Deno.test(`refuses ${title}`, () => {
    assert.throws(() => parseConfig(text, "run.yaml"), { name: "SpielError", message: words });
  });
}

Deno.test("a file in another encoding is named", () => {
  const path = Deno.makeTempFileSync({ suffix: ".yaml" });
  try {
    Deno.writeFileSync(path, Uint8Array.of(0xFF, 0xFE, 0x6C, 0, 0x72, 0));
    assert.throws(() => readConfigFile(path), { message: /\.yaml" is not UTF-8 text$/ });
  } finally {
    Deno.removeSync(path);
  }
});

Deno.test("a missing file is named", () => {
  assert.throws(() => readConfigFile("no/such.yaml"), {
    name: "SpielError",
    message: 'Configuration file "no/such.yaml" does not exist',
  });
});
