/** Parquet as pyarrow writes it: every codec and page version, with lists of objects; and counts that lie. */
import assert from "node:assert/strict";
import { cutPage } from "../../../../src/data/files/parquet_cuts.ts";
import { varint } from "../../../../src/data/files/thrift.ts";
import { parquet } from "../../../../src/data/files/parquet.ts";
import { type KnownFile, readRecords, recogniseFile } from "../../../../src/data/files/mod.ts";
import { RecordFields } from "../../../../src/data/formats/fields.ts";
import { parquetWriteBuffer } from "npm:hyparquet-writer@0.17.0";
import { formatsFor } from "../../../../src/data/formats/mod.ts";
import { withTempDir } from "../../../support/temp_dir.ts";

const FOLDER = decodeURIComponent(new URL("parquet/", import.meta.url).pathname);

const allOf = async (file: KnownFile) =>
  (await Array.fromAsync(readRecords(file))).map(({ parse }) => parse());

const EXPECTED = [
  {
    id: 1,
    messages: [
      { role: "user", content: 'q "1"', name: "ann" },
      { role: "assistant", content: "größer 🙂", name: null },
    ],
    score: 0.5,
    source: "a",
    day: "2024-07-26T00:00:00.000Z",
  },
  {
    id: 2,
    messages: [
      { role: "user", content: "", name: null },
      { role: "assistant", content: "a2", name: null },
    ],
    source: "b",
    day: "2024-07-26T00:00:00.000Z",
  },
  {
    id: "9007199254740993",
    messages: [{ role: "assistant", content: "x".repeat(3000), name: null }],
    score: 2,
    day: "2024-07-26T00:00:00.000Z",
  },
];

for (const codec of ["none", "snappy", "gzip", "zstd", "lz4", "brotli"]) {
  for (const version of ["", "_v2"]) {
    Deno.test(`Parquet, ${codec}${version}`, async () => {
      const known = await recogniseFile(`${FOLDER}${codec}${version}.parquet`);
      assert.deepEqual(await allOf(known), EXPECTED);
    });
  }
}

Deno.test("row groups without rows are passed over, and a file of none has no records", async () => {
  const records = async (name: string) =>
    await allOf(await recogniseFile(`${FOLDER}${name}.parquet`));
  assert.deepEqual(await records("empty_groups"), [{ text: "a" }, { text: "b" }]);
  assert.deepEqual(await records("no_rows"), []);
});

Deno.test("rows are told by their number, and read again from any group", async () => {
  const path = `${FOLDER}zstd.parquet`;
  using file = await parquet.open(path, "hf:a");
  const places = await Array.fromAsync(readRecords(await recogniseFile(path)));
  assert.deepEqual(places.map(({ where }) => where), [1, 2, 3].map((row) => `${path}:row ${row}`));
  for (const row of [2, 0, 1, 1]) {
    assert.deepEqual(await file.read(places[row]!.place), EXPECTED[row]);
  }
});

Deno.test("messages from a table: nulls are absent, and an object of lists is a list of objects", async () => {
  const read = async (name: string, format: string) => {
    const [record] = await allOf(await recogniseFile(`${FOLDER}${name}.parquet`));
    return formatsFor(format)[0]!.read(new RecordFields("a", record!, {}));
  };
  assert.deepEqual(await read("snappy", "messages"), {
    kind: "conversation",
    messages: [
      { role: "user", content: 'q "1"', name: "ann" },
      { role: "assistant", content: "größer 🙂" },
    ],
  });
  assert.deepEqual(await read("object_of_lists", "sharegpt"), {
    kind: "conversation",
    messages: [{ role: "user", content: "q" }, { role: "assistant", content: "a" }],
  });
});

Deno.test("rows that are too large and texts that are none are told; what nobody reads may be as it is", () =>
  withTempDir(async (dir) => {
    const bytes = Uint8Array.of(0x66, 0xFF, 0x66);
    const long = "长".repeat(3 << 20);
    const buffer = parquetWriteBuffer({
      columnData: [
        { name: "text", data: ["fine", bytes, long], type: "BYTE_ARRAY" },
        { name: "image", data: [bytes, bytes, bytes], type: "BYTE_ARRAY" },
      ],
    });
    const path = `${dir}/a.parquet`;
    Deno.writeFileSync(path, new Uint8Array(buffer));
    const records = await Array.fromAsync(readRecords(await recogniseFile(path)));
    const [first, second] = records.map(({ where, parse }) => () =>
      formatsFor("text")[0]!.read(new RecordFields(where, parse(), {}))
    );
    assert.deepEqual(first!(), { kind: "text", text: "fine" });
    assert.throws(second!, /:row 2: field "text" is bytes that are not valid UTF-8; expected text/);
    assert.throws(records[2]!.parse, /:row 3: its texts are longer than 8388608 bytes/);
  }));

Deno.test("a small file with the byte of a carriage return and none of a line feed is no old text", () =>
  withTempDir(async (dir) => {
    const data = ["an answer that is\rtold"];
    const buffer = parquetWriteBuffer({ columnData: [{ name: "text", data, type: "STRING" }] });
    const bytes = new Uint8Array(buffer);
    assert.ok(bytes.includes(0x0D) && !bytes.includes(0x0A));
    Deno.writeFileSync(`${dir}/a.parquet`, bytes);
    assert.deepEqual(await allOf(await recogniseFile(`${dir}/a.parquet`)), [{ text: data[0] }]);
  }));

for (const version of ["v1", "v2"]) {
  Deno.test(`a large row group is read in parts, page by page, ${version}`, async () => {
    const known = await recogniseFile(`${FOLDER}pages_${version}.parquet`);
    using file = await parquet.open(known.content, known.path);
    const blocks = await Array.fromAsync(file.blocks());
    assert.ok(blocks.length > 2);
    let next = 0;
    for await (const { place, parse } of readRecords(known)) {
      const messages = Array.from({ length: 1 + next % 5 }, (_, m) => ({
        role: m % 2 === 0 ? "user" : "assistant",
        content: `${next}.${m}`,
      }));
      assert.deepEqual(parse(), { n: next, messages });
      assert.equal(place.line, ++next);
    }
    assert.equal(next, 20_000);
    // Any row again, from a part that was not read before.
    const place = { line: 12_346, offset: 12_345, length: 1 };
    assert.equal((await file.read(place)).n, 12_345);
  });
}

Deno.test("pages of many values are cut, with their nulls, empty lists and lists of lists", async () => {
  const gaps = (n: number) =>
    n % 7 === 0 ? null : Array.from(
      { length: Math.max(0, n % 7 - 1) },
      (_, m) => (n + m) % 5 === 0 ? null : "abc"[(n + m) % 3]!,
    );
  const known = await recogniseFile(`${FOLDER}gaps.parquet`);
  let n = 0;
  for await (const { parse } of readRecords(known)) {
    const some = gaps(n);
    const nested = Array.from({ length: n % 3 }, (_, m) => gaps(n + m));
    assert.deepEqual(parse(), { n, ...some !== null && { gaps: some }, nested });
    n++;
  }
  assert.equal(n, 20_000);
});

for (const beside of ["before", "after"]) {
  Deno.test(`a row group read as a whole has a page of many values, and a column ${beside} it`, async () => {
    const known = await recogniseFile(`${FOLDER}whole_${beside}.parquet`);
    using file = await parquet.open(known.content, known.path);
    assert.equal((await Array.fromAsync(file.blocks())).length, 1);
    const roles = Array.from({ length: 6 }, (_, m) => m % 2 === 0 ? "user" : "assistant");
    const expected = Array.from({ length: 3000 }, (_, n) => ({ n, roles }));
    assert.deepEqual(await allOf(known), expected);
  });
}

Deno.test("a page is cut at whole rows, and only where it has very many values of a dictionary", () => {
  // 20,000 rows of three values in a page of the first version: runs of levels, and of the only value.
  const values = 60_000;
  const run = (level: number, count: number) => [...varint(BigInt(count) * 2n), level];
  const repeated = Array.from({ length: values / 3 }, () => [...run(0, 1), ...run(1, 2)]).flat();
  const withLength = (bytes: number[]) => [
    ...new Uint8Array(Uint32Array.of(bytes.length).buffer),
    ...bytes,
  ];
  const page = Uint8Array.from([
    ...withLength(repeated),
    ...withLength(run(1, values)),
    ...[1, ...run(0, values)],
  ]);
  const options = { values, encoding: "RLE_DICTIONARY", repetitions: 1, definitions: 1 };
  const rows = cutPage(page, options).map(({ rows }) => rows);
  assert.deepEqual(rows, [5462, 5462, 5462, 3614]);
  assert.deepEqual(cutPage(page, { ...options, encoding: "PLAIN" }), []);
  assert.deepEqual(cutPage(page, { ...options, values: 16_384 }), []);
});
