/** Configuration files: entries with their places, and refusals with line and column. */

import assert from "node:assert/strict";
import { readConfigFile } from "../../cli/config_file.ts";
import { parseJsonConfig } from "../../cli/json_config.ts";
import { parseYamlConfig } from "../../cli/yaml_config.ts";
import { type ConfigEntry, configRecord, resolveRunConfig } from "../../mod.ts";

Deno.test("keys come in order with values, line and column", () => {
  const text = "# a run\nlr: 1e-4\n\ndata: [a.jsonl, b.jsonl]\nmap:\n  prompt: question\n";
  assert.deepEqual(parseYamlConfig(text, "run.yaml"), [
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

Deno.test("keys of JSON come in order with values, line and column", () => {
  const text = '{\n  "max_steps": 5, "map": {"prompt": "q\\n"},\n\t"data": ["a", []], "x": null}\n';
  assert.deepEqual(
    parseJsonConfig(text, "run.json").map(({ key, value, source }) => {
      assert.equal(source.kind, "file");
      return [key, value, ...(source.kind === "file" ? [source.line, source.column] : [])];
    }),
    [
      ["max_steps", 5, 2, 3],
      ["map", { prompt: "q\n" }, 2, 19],
      ["data", ["a", []], 3, 2],
      ["x", null, 3, 21],
    ],
  );
});

Deno.test("the key by which editors find the schema is passed over", () => {
  const text = '{"$schema": "docs/run_config.schema.json", "lr": 1}';
  assert.deepEqual(parseJsonConfig(text, "run.json").map(({ key }) => key), ["lr"]);
});

Deno.test("JSON is YAML too", () => {
  const [entry] = parseYamlConfig('{\n  "max_steps": 5\n}', "run.json");
  assert.deepEqual(entry, {
    key: "max_steps",
    value: 5,
    source: { kind: "file", path: "run.json", line: 2, column: 3 },
  });
});

Deno.test("an empty file has no entries", () => {
  assert.deepEqual(parseYamlConfig("# nothing yet\n", "run.yaml"), []);
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
    assert.throws(() => parseYamlConfig(text, "run.yaml"), { name: "SpielError", message: words });
  });
}

const REFUSED_JSON: [title: string, text: string, message: string][] = [
  ["a key twice", '{"lr": 1,\n "lr": 2}', "2:2: lr is given twice"],
  ["a key twice inside", '{"map": {"a": "b", "a": "c"}}', "1:20: a is given twice"],
  ["a comma at the end", '{\n  "lr": 1,\n}', "2:10: JSON has no comma before a closing }"],
  ["a comma at a list's end", '{"data": ["a",]}', "1:14: JSON has no comma before a closing ]"],
  ["no comma", '{\n "lr": 1\n "out": 2\n}', "3:2: a comma or a closing } is missing"],
  ["no colon", '{"lr" 1}', '1:7: a colon is missing after "lr"'],
  ["an open bracket", '{\n"lr": 1,\n', "3:1: a bracket is not closed"],
  ["an open quote", '{"out": "abc\n}', '1:9: a " is opened that is not closed in its line'],
  [
    "a key without quotes",
    "{lr: 1}",
    '1:2: expected a key in double quotes such as "lr"',
  ],
  [
    "text without quotes",
    '{"out": run}',
    "1:9: run is no JSON value; expected a number, true, false, null, or text in double quotes",
  ],
  [
    "a word of another language",
    '{"resume": True}',
    "1:12: True is no JSON value; expected a number, true, false, null, or text in double quotes",
  ],
  [
    "a value that is missing",
    '{"lr": }',
    "1:8: } is no JSON value; expected a number, true, false, null, or text in double quotes",
  ],
  [
    "a comment",
    '{\n  // slow\n  "lr": 1}',
    "2:3: JSON has no comments; a .yaml file may have them after #",
  ],
  [
    "an escape that is none",
    '{"out": "C:\\data"}',
    "1:9: a backslash begins no known escape; write it twice",
  ],
  ["one bracket too many", '{"lr": 1}}', '1:10: "}" is not expected here'],
  ["a list", "[1]", '1:1: expected { with keys such as "lr": 0.001'],
  ["nothing", "", '1:1: expected { with keys such as "lr": 0.001'],
  ["YAML", "lr: 1\n", '1:1: expected { with keys such as "lr": 0.001'],
  ["brackets without end", '{"data": ' + "[".repeat(1e5), "1:73: deeper than 64 brackets"],
];

for (const [title, text, message] of REFUSED_JSON) {
  Deno.test(`refuses JSON with ${title}`, () => {
    assert.throws(() => parseJsonConfig(text, "run.json"), {
      name: "SpielError",
      message: `run.json:${message}`,
    });
  });
}

/** What a run with these values writes as its `config.json`. */
function recordOf(values: Record<string, unknown>) {
  const source: ConfigEntry["source"] = { kind: "flag" };
  return configRecord(
    resolveRunConfig(Object.entries(values).map(([key, value]) => ({ key, value, source }))),
  );
}

const GIVEN = { model: "m", data: ["a.jsonl"], map: "prompt=q", num_deltas: "100", out: "o" };

Deno.test("a run's own record gives what the run was given", () => {
  const record = recordOf(GIVEN);
  const entries = parseJsonConfig(JSON.stringify(record, null, 2), "o/config.json");
  assert.deepEqual(
    entries.map(({ key, value }) => [key, value]),
    [["model", "m"], ["data", ["a.jsonl"]], ["map", { prompt: "q" }], ["num_deltas", 100], [
      "out",
      "o",
    ]],
  );
  const again = configRecord(resolveRunConfig(entries));
  const values = (of: typeof record) => Object.values(of).map(({ value }) => value);
  assert.deepEqual(values(again), values(record));
  assert.equal(again.model.origin, "o/config.json:2");
  assert.equal(again.lr.origin, "default");
});

Deno.test("what one call was to do with a run is not taken from its record", () => {
  const record = recordOf({ ...GIVEN, resume: true, dry_run: true });
  const entries = parseJsonConfig(JSON.stringify(record), "o/config.json");
  assert.deepEqual(entries.filter(({ key }) => ["resume", "dry_run"].includes(key)), []);
});

Deno.test("defaults that follow from others do so anew beside a run's record", () => {
  const entries = parseJsonConfig(JSON.stringify(recordOf(GIVEN)), "o/config.json");
  const method: ConfigEntry = { key: "method", value: "spiel-ma", source: { kind: "flag" } };
  const { config } = resolveRunConfig([...entries, method]);
  assert.equal(config.lr, 5e-3);
});

Deno.test("a default that was edited in a run's record counts", () => {
  const record = recordOf(GIVEN);
  record.lr.value = 0.5;
  record.seed.value = 7;
  const entries = parseJsonConfig(JSON.stringify(record), "o/config.json");
  const { config } = resolveRunConfig(entries);
  assert.deepEqual([config.lr, config.seed], [0.5, 7]);
});

Deno.test("a mistake in a run's record is told with its place", () => {
  const record = { ...recordOf(GIVEN), batch: { value: 1, origin: "flag" } };
  const entries = parseJsonConfig(JSON.stringify(record, null, 2), "o/config.json");
  assert.throws(() => resolveRunConfig(entries), {
    message: /^o\/config\.json:\d+:3: batch is not/,
  });
});

Deno.test("a file is JSON by its name, and needs no permission beyond reading then", async () => {
  const path = Deno.makeTempFileSync({ suffix: ".JSON" });
  try {
    Deno.writeTextFileSync(path, '\uFEFF{"lr": 1}');
    const [entry] = await readConfigFile(path);
    assert.equal(entry?.value, 1);
    Deno.writeTextFileSync(path, "lr: 1");
    await assert.rejects(() => readConfigFile(path), { message: /:1:1: expected \{/ });
  } finally {
    Deno.removeSync(path);
  }
});

Deno.test("a model's configuration and a folder are told from a run's", async () => {
  assert.throws(() => parseJsonConfig('{"lr": 1, "model_type": "llama"}', "m/config.json"), {
    message: "m/config.json configures a model, not a run; name its folder by --model",
  });
  const folder = Deno.makeTempDirSync();
  try {
    await assert.rejects(() => readConfigFile(`${folder}/`), {
      message: `Configuration file "${folder}/" is a folder; a run's is "${folder}/config.json"`,
    });
  } finally {
    Deno.removeSync(folder);
  }
});

Deno.test("a file in another encoding is named", async () => {
  const path = Deno.makeTempFileSync({ suffix: ".yaml" });
  try {
    Deno.writeFileSync(path, Uint8Array.of(0xFF, 0xFE, 0x6C, 0, 0x72, 0));
    await assert.rejects(() => readConfigFile(path), { message: /\.yaml" is not UTF-8 text$/ });
  } finally {
    Deno.removeSync(path);
  }
});

Deno.test("a missing file is named", async () => {
  await assert.rejects(() => readConfigFile("no/such.yaml"), {
    name: "SpielError",
    message: 'Configuration file "no/such.yaml" does not exist',
  });
});
