/** How files are read: formats and maps by the first records, and files of kinds that are not read. */
import assert from "node:assert/strict";
import { openDataFiles, type ReadingOptions, refuseIdleMap } from "../../../src/data/data_files.ts";
import { assertRefuses, assertRejects } from "../../support/refuses.ts";
import { withTempDir } from "../../support/temp_dir.ts";

function write(dir: string, content: string | Uint8Array): string {
  const path = `${dir}/data.jsonl`;
  if (typeof content === "string") Deno.writeTextFileSync(path, content);
  else Deno.writeFileSync(path, content);
  return path;
}

const pair = '{"question":"q","answer":"a"}\n';

/** A file's text, how it is read, and what is said of it. */
const UNFIT: [title: string, text: string, options: ReadingOptions, ...fragments: string[]][] = [
  [
    "names of its own",
    pair,
    {},
    ':1 has the fields "question", "answer"; expected messages, or conversations, or prompt and completion, ' +
    "or instruction and output, or text.",
    "perhaps --map prompt=question,completion=answer",
  ],
  [
    "names of which several may be meant",
    '{"query":"i","input":"x","response":"o"}',
    {},
    "such as --map prompt=question,completion=answer",
  ],
  ["one unknown name", '{"x":1}', {}, ':1 has the field "x"', "such as --map prompt=question"],
  ["a name without letters", '{"prompt":"p","":1}', {}, "--map completion=NAME"],
  [
    "a mistyped name",
    pair,
    { map: { prompt: "qestion", completion: "answer" } },
    ':1: the field "qestion", which --map names for prompt, is missing',
    'the record has the fields "question", "answer"',
    "--map prompt=question,completion=answer",
  ],
  [
    "half a map",
    pair,
    { map: { prompt: "question" } },
    ':1: the field "completion" is missing, to be read as prompt_completion',
    "--map prompt=question,completion=answer",
  ],
  [
    "half a pair",
    '{"prompt":"p","result":"r"}',
    {},
    ':1: the field "completion" is missing',
    "--map completion=result",
  ],
  [
    "a name that a shell takes apart",
    `{"prompt":"p","the model's answer":"r"}`,
    {},
    `Name them with --map 'completion=the model'\\''s answer'`,
  ],
  [
    "a name that a flag cannot have",
    '{"prompt":"p","answer, in short":"r"}',
    {},
    'Name them with map: {"completion":"answer, in short"} in the file of --config',
  ],
  [
    "a pair that cannot be guessed",
    '{"prompt":"p","x":1,"y":2}',
    {},
    "--map completion=NAME",
  ],
  [
    "a named format",
    pair,
    { format: "prompt_completion" },
    'the field "prompt" and the field "completion" are missing',
  ],
  ["no record", "\n \r\n", {}, "has no records"],
  ["nothing", "", {}, "has no records"],
  ["no JSON", "Once upon a time\nthere was\n", {}, ":1: not valid JSON", "expected JSON Lines"],
];

for (const [title, text, options, ...fragments] of UNFIT) {
  Deno.test(`refuses a file with ${title}`, () =>
    withTempDir(async (dir) => {
      const path = write(dir, text);
      await assertRejects(() => openDataFiles([path], options), "data", path, ...fragments);
    }));
}

/** A file's text, how it is read, and the format that it has. */
const FIT: [title: string, text: string, options: ReadingOptions, format: string][] = [
  ["a byte order mark", '\uFEFF{"text":"t"}\r\n', {}, "text"],
  ["a bad first line", '{"text":\n{"id":1}\n{"text":"t"}\n', {}, "text"],
  ["a map", pair, { map: { prompt: "question", completion: "answer" } }, "prompt_completion"],
  [
    "a map to a format that is not the first to fit",
    '{"messages":[],"question":"q","answer":"a"}',
    { map: { prompt: "question", completion: "answer" } },
    "prompt_completion",
  ],
];

for (const [title, text, options, format] of FIT) {
  Deno.test(`reads a file with ${title}`, () =>
    withTempDir(async (dir) => {
      const [file] = await openDataFiles([write(dir, text)], options);
      assert.equal(file?.format.name, format);
    }));
}

Deno.test("unknown formats and fields are refused before any file is opened", async () => {
  const csv = { format: "csv" };
  await assertRejects(() => openDataFiles(["none"], csv), "usage", `"csv"`, "messages");
  await assertRejects(() => openDataFiles(["none"], { map: { answer: "a" } }), "usage", `"answer"`);
});

Deno.test("a URL is told from a missing file", async () => {
  const open = () => openDataFiles(["https://a.b/c.jsonl"], {});
  await assertRejects(open, "data", "is a URL", "download");
});

Deno.test("a map that no file is read by is refused", () =>
  withTempDir(async (dir) => {
    const map = { prompt: "question" };
    const files = await openDataFiles([write(dir, '{"text":"t"}')], {});
    assertRefuses(() => refuseIdleMap(files, map), "data", "--map prompt=question", "as text");
    refuseIdleMap(files, { text: "text" });
  }));

const utf16 = (text: string, isLittle: boolean) =>
  Uint8Array.from([...text].flatMap((character) => {
    const code = character.charCodeAt(0);
    return isLittle ? [code & 255, code >> 8] : [code >> 8, code & 255];
  }));

/** Files of other kinds, and what is said of them. */
const OTHER: [title: string, content: string | Uint8Array, ...fragments: string[]][] = [
  ["zstd", Uint8Array.of(0x28, 0xB5, 0x2F, 0xFD, 0), "compressed with zstd"],
  ["ZIP", "PK\x03\x04\x00", "a ZIP archive"],
  [
    "a spreadsheet",
    "PK\x03\x04\x00[Content_Types].xml PK xl/workbook.xml",
    "a spreadsheet",
    "CSV UTF-8",
  ],
  [
    "a spreadsheet of LibreOffice",
    "PK\x03\x04 application/vnd.oasis.opendocument.spreadsheet",
    "CSV",
  ],
  [
    "an old spreadsheet",
    Uint8Array.of(0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1),
    "CSV UTF-8",
  ],
  [
    "a table of old Macintoshes",
    "prompt,completion\ra,b\r",
    "carriage returns alone",
    "tr '\\r' '\\n'",
  ],
  ["records of old Macintoshes", `${pair.trim()}\r${pair.trim()}`, "carriage returns alone"],
  ["UTF-16 with a mark", utf16(`\uFEFF${pair}`, true), "UTF-16 text", "iconv -f UTF-16 -t UTF-8"],
  ["UTF-16 with the other mark", utf16(`\uFEFF${pair}`, false), "UTF-16 text"],
  ["UTF-16 without a mark", utf16(pair, true), "UTF-16 text", "iconv -f UTF-16LE"],
  ["other UTF-16 without a mark", utf16(pair, false), "UTF-16 text", "iconv -f UTF-16BE"],
  ["bytes", Uint8Array.of(1, 0, 2, 0), "not text"],
  ["a printed object", '{\n  "text": "a"\n}\n', "JSON over many lines", "jq -c ."],
  ["an object that goes on", '{"text":"a",\n "id":1}\n', "JSON over many lines"],
];

for (const [title, content, ...fragments] of OTHER) {
  Deno.test(`knows ${title}`, () =>
    withTempDir(async (dir) => {
      const path = write(dir, content);
      const words = ["expected JSON Lines, JSON, CSV, TSV or Parquet", ...fragments];
      await assertRejects(() => openDataFiles([path], {}), "data", `"${path}" is `, ...words);
    }));
}

Deno.test("carriage returns may stand in JSON, and behind the only line", async () => {
  const one = pair.trim();
  for (const content of [`[${one}\r,\r${one}\r]\r`, `{"data":\r[${one}]}`, `${one}\r`]) {
    await withTempDir(async (dir) => {
      const [file] = await openDataFiles([write(dir, content)], {
        map: { prompt: "question", completion: "answer" },
      });
      assert.equal(file!.format.name, "prompt_completion");
    });
  }
});

Deno.test("what a spreadsheet's program writes is told how to be mended", () =>
  withTempDir(async (dir) => {
    const path = `${dir}/data.csv`;
    Deno.writeTextFileSync(path, "sep=;\r\nprompt;completion\r\na;b\r\n");
    await assertRejects(
      () => openDataFiles([path], {}),
      "data",
      'data.csv:1: "sep=;"',
      "leave that line out",
    );
    Deno.writeFileSync(
      path,
      Uint8Array.from("prompt,completion\ncaf\xe9,b\n", (c) => c.charCodeAt(0)),
    );
    await assertRejects(
      () => openDataFiles([path], {}),
      "data",
      "data.csv:2: not valid UTF-8 text; if a program on Windows wrote it, iconv -f CP1252",
    );
  }));
