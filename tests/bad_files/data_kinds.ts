/** Bad data: records and files of every kind, and the chat templates that records are rendered with. */

import { gzipSync } from "node:zlib";
import { parquetWriteBuffer } from "npm:hyparquet-writer@0.17.0";
import { TinyFolder } from "../cli/tiny_folder.ts";
import { copyFolder, editBytes, editJson, type Family } from "./kinds.ts";

const utf8 = new TextEncoder();
const PAIR = { prompt: "say", completion: "it" };
const lines = (...records: unknown[]) =>
  records.map((record) => `${JSON.stringify(record)}\n`).join("");

const user = { role: "user", content: "q" };
const answer = { role: "assistant", content: "a" };
const call = (changes: object) => ({ ...answer, tool_calls: [{ name: "f", ...changes }] });

/** What spoils a file: other content, or a change of what there is. */
type Spoiled = string | Uint8Array | ((path: string, folder: string) => unknown);
type DataKind = readonly [title: string, Spoiled, ...words: RegExp[]];

/** A family of data files beside a model, which all are read by. */
function family(
  name: string,
  file: string,
  good: string | Uint8Array,
  kinds: readonly DataKind[],
): Family {
  const path = (folder: string) => `${folder}/${file}`;
  const spoil = (spoiled: Spoiled) => (folder: string) =>
    typeof spoiled === "function" ? spoiled(path(folder), folder) : write(path(folder), spoiled);
  return {
    name,
    make(folder) {
      using tiny = new TinyFolder();
      copyFolder(tiny.model, folder);
      write(path(folder), good);
    },
    args: (folder) => ["validate", path(folder), "--model", folder, "--max-length", "64"],
    kinds: kinds.map(([title, spoiled, ...words]) => [title, spoil(spoiled), ...words]),
  };
}

function write(path: string, content: string | Uint8Array): void {
  if (typeof content === "string") Deno.writeTextFileSync(path, content);
  else Deno.writeFileSync(path, content);
}

/** Makes kinds whose second record is wrong, after a good one. */
const after = (first: object) => (title: string, record: unknown, ...words: RegExp[]): DataKind => {
  const text = typeof record === "string" ? record : lines(record);
  return [title, lines(first) + text, /data\.jsonl:2: /, ...words];
};

const second = after(PAIR);
const conversation = after({ messages: [user, answer] });
const shared = after({
  conversations: [{ from: "human", value: "q" }, { from: "gpt", value: "a" }],
});
const instructed = after({ instruction: "i", output: "o" });

/** `data.jsonl`. */
export const JSON_LINES: Family = family("JSON Lines", "data.jsonl", lines(PAIR, PAIR), [
  ["nothing", "", /data\.jsonl" has no records/],
  ["blank lines", "\n \r\n\t\n", /data\.jsonl" has no records/],
  second("cut JSON", '{"prompt":"say","compl', /not valid JSON: Unterminated string/),
  second("a trailing comma", '{"prompt":"say",}', /not valid JSON: Expected .* at column 17/),
  second("single quotes", "{'prompt':'say'}", /not valid JSON/),
  second("two records in a line", '{"text":"a"}{"text":"b"}', /not valid JSON/),
  second("a number that is none", '{"prompt":NaN,"completion":"a"}', /not valid JSON/),
  second("a list", '["say","it"]', /not a JSON object/),
  second("null", "null", /not a JSON object/),
  second(
    "a field twice",
    '{"prompt":"a","prompt":"b","completion":"c"}',
    /"prompt" is given twice/,
  ),
  second("a zero byte", "\u0000", /not valid JSON/),
  [
    "a letter of another encoding",
    Uint8Array.of(...utf8.encode(lines(PAIR)), ...[0x7B, 0xE9, 0x7D]),
    /data\.jsonl:2: not valid UTF-8 text/,
  ],
  second("9 MB in a line", `{"prompt":"${"a".repeat(9 << 20)}"}`, /longer than 8388608 bytes/),
  second("nesting without end", `{"prompt":${"[".repeat(1 << 20)}`, /not valid JSON/),
  second(
    "deep nesting",
    `{"prompt":${"[".repeat(1 << 17)}${"]".repeat(1 << 17)},"completion":"a"}`,
    /data\.jsonl:2: it nests deeper than 100 levels/,
  ),
  conversation(
    "deep nesting in a field that the template gets",
    `{"messages":[{"role":"assistant","content":"a","x":${"[".repeat(20_000)}${
      "]".repeat(20_000)
    }}]}`,
    /data\.jsonl:2: it nests deeper than 100 levels/,
  ),
  ["bytes", Uint8Array.of(0, 1, 2, 3, 10, 0), /is not text/],
  ["UTF-16", Uint8Array.of(0xFF, 0xFE, 0x7B, 0), /is UTF-16 text; .*iconv/],
  ["objects over many lines", '{\n"text": "a"\n}\n', /is JSON over many lines; .*jq/],
  ["zstd", Uint8Array.of(0x28, 0xB5, 0x2F, 0xFD, 0), /is compressed with zstd; .*unzstd/],
  ["a ZIP archive", "PK\x03\x04", /is a ZIP archive/],
  ["a spreadsheet", "PK\x03\x04\0xl/workbook.xml", /is a spreadsheet; .*CSV UTF-8/],
  ["lines of old Macintoshes", lines(PAIR, PAIR).replaceAll("\n", "\r"), /carriage returns alone/],
  ["an Arrow file", "ARROW1\0\0", /is an Arrow file/],
  ["prose", "Once upon a time\nthere was\n", /data\.jsonl:1: not valid JSON/],
  ["an error page", "<!DOCTYPE html>\n<p>404", /data\.jsonl:1: not valid JSON/],
]);

/** Records of `data.jsonl`. */
export const RECORDS: Family = family("records", "data.jsonl", lines(PAIR, PAIR), [
  [
    "no known field",
    lines({ a: 1 }),
    /data\.jsonl:1 has the field "a"; expected messages, or/,
  ],
  second(
    "no completion",
    { prompt: "say" },
    /field "completion" is missing; .* has the field "prompt"/,
  ),
  second("a number for a text", { ...PAIR, prompt: 3 }, /field "prompt" is 3; expected text/),
  second("null for a text", { ...PAIR, completion: null }, /field "completion" is null/),
  second(
    "an empty completion",
    { ...PAIR, completion: "" },
    /"completion" is ""; expected .*learn/,
  ),
  second("a blank completion", { ...PAIR, completion: " \n" }, /"completion" is " \\n"/),
  second("half a character", '{"prompt":"a","completion":"\\ud800"}', /half of a surrogate pair/),
  second(
    "a prompt that fills the length",
    { ...PAIR, prompt: "p".repeat(90) },
    /--max-length 1\d\d /,
  ),
  after({ text: "fine" })("an empty text", { text: "" }, /field "text" is ""/),
  after({ messages: Array.from({ length: 1500 }, () => [user, answer]).flat() })(
    "no content behind a conversation of 3000 messages",
    { messages: [user, { role: "assistant" }] },
    /message 1 has no content/,
  ),
  conversation("text for messages", { messages: "x" }, /"messages" is "x"; expected a list of/),
  conversation("no messages", { messages: [] }, /"messages" is an empty list/),
  conversation(
    "a message that is text",
    { messages: ["x"] },
    /message 0 is "x"; expected an object/,
  ),
  conversation("no role", { messages: [{ content: "x" }] }, /message 0 has the field "content"/),
  conversation(
    "an unknown role",
    { messages: [{ role: "me", content: "x" }] },
    /has the role "me"/,
  ),
  conversation(
    "no content",
    { messages: [user, { role: "assistant" }] },
    /message 1 has no content/,
  ),
  conversation("an empty answer", { messages: [user, { ...answer, content: "" }] }, /is empty/),
  conversation("nobody's answer", { messages: [user] }, /no message of the assistant/),
  conversation(
    "an image",
    { messages: [{ role: "user", content: [{ type: "image" }] }, answer] },
    /content of message 0 has a part of type "image"/,
  ),
  conversation(
    "calls in text",
    { messages: [user, { ...answer, tool_calls: "f" }] },
    /is "f"; expected/,
  ),
  conversation("a call without a name", { messages: [user, call({ name: 3 })] }, /name is 3/),
  conversation(
    "arguments that are no JSON",
    { messages: [user, call({ arguments: "{a" })] },
    /arguments are "{a"; expected an object in JSON/,
  ),
  conversation(
    "arguments that nest without measure",
    {
      messages: [
        user,
        call({ arguments: `{"a":${"[".repeat(20_000)}${"]".repeat(20_000)}}` }),
      ],
    },
    /arguments are "\{.*expected an object in JSON/,
  ),
  conversation("tools in words", { messages: [user, answer], tools: "f" }, /"tools" is "f"/),
  conversation(
    "tools that the template does not know",
    { messages: [user, answer], tools: [{ name: "f" }] },
    /does not tell the model of tools/,
  ),
  conversation("half a weight", { messages: [user, { ...answer, weight: 0.5 }] }, /weight 0\.5/),
  conversation(
    "no answer that is to be learnt",
    { messages: [user, { ...answer, weight: 0 }] },
    /no token of it is trained/,
  ),
  shared("an unknown speaker", { conversations: [{ from: "me", value: "q" }] }, /is from "me"/),
  shared("a call in words", { conversations: [{ from: "function_call", value: "f" }] }, /is "f"/),
  instructed("no output", { instruction: "i", input: "" }, /field "output" is missing/),
  instructed(
    "an input that is a list",
    { instruction: "i", input: [], output: "o" },
    /"input" is an/,
  ),
]);

/** `data.json`. */
export const JSON_LIST: Family = family("JSON", "data.json", JSON.stringify([PAIR, PAIR]), [
  ["an empty list", "[\n]", /data\.json" has no records/],
  [
    "cut",
    '[{"prompt":"a","completion":"b"},{"pro',
    /data\.json" ends, or closes an object, inside/,
  ],
  ["mixed brackets", '[{"prompt":"a","completion":"b"}}', /inside its list/],
  [
    "more behind the list",
    `${JSON.stringify([PAIR])}]`,
    /data\.json" goes on behind its list/,
  ],
  ["two lists", JSON.stringify({ a: [PAIR], b: [PAIR] }), /has the lists "a" and "b"/],
  ["a number in the list", JSON.stringify([PAIR, 3]), /data\.json:row 2: not a JSON object/],
  ["no comma", `[${JSON.stringify(PAIR)}${JSON.stringify(PAIR)}]`, /row 1: not valid JSON/],
  [
    "nesting without end",
    `[${JSON.stringify(PAIR)},${"[".repeat(1 << 20)}`,
    /inside its list/,
  ],
  ["a record of 9 MB", `[{"prompt":"${"a".repeat(9 << 20)}"}]`, /row 1: longer than 8388608/],
]);

/** `data.csv`. */
export const CSV: Family = family("CSV", "data.csv", "prompt,completion\na,b\n", [
  ["nothing but names", "prompt,completion\n", /data\.csv" has no records/],
  ["what a spreadsheet is told", "sep=;\na;b\n", /data\.csv:1: "sep=;" .*leave that line out/],
  [
    "a quote that stays open",
    'prompt,completion\n"a,b\nc,d\n',
    /data\.csv:2: a quote that is/,
  ],
  [
    "a column twice",
    "prompt,prompt\na,b\n",
    /data\.csv:1: the column "prompt" is named twice/,
  ],
  [
    "a short row",
    "prompt,completion\na,b\nc\n",
    /data\.csv:3: the row has 1 field; expected 2/,
  ],
  ["a long row", "prompt,completion\na,b\nc,d,e\n", /data\.csv:3: the row has 3 fields/],
  ["text behind a quote", 'prompt,completion\na,b\n"c"d,e\n', /data\.csv:3: field 1 goes on/],
  [
    "another encoding",
    Uint8Array.of(...utf8.encode("prompt,completion\na,b\nc,"), 0xE9, 10),
    /data\.csv:3: not valid UTF-8 text/,
  ],
  ["an empty field", "prompt,completion\na,b\nc,\n", /data\.csv:3: field "completion" is ""/],
]);

const parquet = (rows: number) =>
  new Uint8Array(parquetWriteBuffer({
    columnData: Object.entries(PAIR).map(([name, value]) => ({
      name,
      data: Array.from({ length: rows }, (_, row) => `${value} ${row}`),
      type: "STRING" as const,
    })),
  }));

/** Changes bytes of a Parquet file; its footer's length is in front of the last four. */
const bytes = (change: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array | void) => (path: string) =>
  editBytes(path, change);

/** 2^31 - 1 in Thrift's compact form. */
const MOST = [0xFE, 0xFF, 0xFF, 0xFF, 0x0F];

/** Puts the header of a data page before the first: its two sizes, and how many values it has. */
function withPage(sizes: readonly number[], values: readonly number[] = [0x28]) {
  const header = [0x15, 0, ...sizes, 0x2C, 0x15, ...values, 0x15, 0, 0x15, 6, 0x15, 6, 0, 0];
  return bytes((all) => Uint8Array.of(...all.slice(0, 4), ...header, ...all.slice(4)));
}

const UNSOUND = /data\.parquet(:row 1)?: not a sound Parquet file/;

/** `data.parquet`. */
export const PARQUET: Family = family("Parquet", "data.parquet", parquet(20), [
  ["cut", bytes((all) => all.slice(0, 100)), UNSOUND],
  ["nothing but a signature", bytes(() => utf8.encode("PAR1")), UNSOUND],
  [
    "a footer longer than the file",
    bytes((all) => void all.fill(0x7F, all.length - 8, all.length - 4)),
    UNSOUND,
  ],
  [
    "a footer of zeros",
    bytes((all) => void all.fill(0, all.length - 200, all.length - 8)),
    UNSOUND,
  ],
  ["pages of zeros", bytes((all) => void all.fill(0, 4, 120)), UNSOUND],
  ["pages of noise", bytes((all) => void all.fill(0x95, 4, 120)), UNSOUND],
  ["a page of 2 GB", withPage([0x15, ...MOST, 0x15, 0x14]), UNSOUND, /unpacks to 2147483647/],
  ["a page of 2^31 values", withPage([0x15, 0x14, 0x15, 0x14], MOST), UNSOUND, /2147483647 values/],
  ["a page of less than nothing", withPage([0x15, 0x14, 0x15, 0x01]), UNSOUND, /without a size/],
  ["other columns", bytes(() => otherColumns()), /data\.parquet:row 1 has the field "a"/],
]);

function otherColumns(): Uint8Array {
  return new Uint8Array(parquetWriteBuffer({ columnData: [{ name: "a", data: ["b"] }] }));
}

const packed = gzipSync(lines(PAIR, PAIR));

/** `data.jsonl.gz`. */
export const GZIP: Family = family("gzip", "data.jsonl.gz", packed, [
  ["cut", packed.subarray(0, -9), /data\.jsonl\.gz" is damaged, or cut/],
  [
    "a wrong checksum",
    packed.map((byte, i) => i === packed.length - 8 ? ~byte : byte),
    /damaged/,
  ],
  ["noise", Uint8Array.of(0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 99, 99, 99), /damaged, or cut/],
  ["a bomb", gzipSync(new Uint8Array(100 << 20)), /unpacks to more than 67108864/],
  ["gzip in gzip", gzipSync(packed), /compressed with gzip twice/],
  ["a bad record", gzipSync(`${lines(PAIR)}{`), /data\.jsonl\.gz:2: not valid JSON/],
]);

/** Another template. */
const template = (source: string | null) => (_: string, folder: string) =>
  editJson(`${folder}/tokenizer_config.json`, (config) => ({ ...config, chat_template: source }));

const LOOPS = "{% for a in range(90000) %}".repeat(3) + "{{ a }}" + "{% endfor %}".repeat(3);
const DOUBLED =
  "{% set n = namespace(t='x') %}{% for a in range(90) %}{% set n.t = n.t + n.t %}{% endfor %}";

/** The template in `tokenizer_config.json`. */
export const TEMPLATE: Family = family(
  "chat template",
  "data.jsonl",
  lines({ messages: [user, answer] }),
  [
    [
      "loops in loops",
      template(LOOPS),
      /data\.jsonl:1: .*beyond bounds: more than 1000000 operations/,
    ],
    [
      "a range without end",
      template("{{ range(2 ** 40) }}"),
      /a range of more than 100000 numbers/,
    ],
    ["a text that doubles", template(DOUBLED), /beyond bounds: a text or list of more than/],
    ["an indentation of 500 MB", template("{{ 'a\nb' | indent(500000000) }}"), /a text or list of/],
    [
      "recursion",
      template("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"),
      /more than 500 levels/,
    ],
    ["nothing that parses", template("{% for %}"), /template .* does not parse/],
    ["parentheses without end", template(`{{ ${"(".repeat(99_999)}`), /does not parse: it nests/],
    ["300 KB", template("a".repeat(300 << 10)), /has 307200 characters; expected at most 262144/],
    ["a refusal", template("{{ raise_exception('no') }}"), /data\.jsonl:1: .*refuses .*: no/],
    [
      "hidden answers",
      template("{{ messages | length }}"),
      /data\.jsonl:1: .*hides where .*message 1/,
    ],
    [
      "no template",
      template(null),
      /it is a conversation, but .* no chat template/,
    ],
  ],
);

/** Paths that are no files of data. */
export const NO_FILE: Family = family("no file", "data.jsonl", lines(PAIR), [
  [
    "nothing there",
    (path) => Deno.removeSync(path),
    /data\.jsonl" does not exist/,
  ],
  [
    "a folder",
    (path) => {
      Deno.removeSync(path);
      Deno.mkdirSync(path);
    },
    /data\.jsonl" is a folder; expected a file/,
  ],
]);
