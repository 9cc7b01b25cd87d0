/**
 * JSON: a list of objects, or one object with such a list in it, such as `{"data": [...]}`. Cut into its objects by
 * their brackets, in chunks; each is understood on its own.
 */
import { SpielError } from "../../errors.ts";
import { isObject, RandomAccessFile } from "../../io/random_access.ts";
import {
  BLOCK_BYTES,
  BLOCK_RECORDS,
  type CutRecord,
  loaded,
  placeOf,
  recordAt,
  textOf,
} from "./chunks.ts";
import { findRecordList, nextListOf, type RecordList } from "./json_list.ts";
import { JsonStructure, SIGN } from "./json_structure.ts";
import { parseRecord } from "./parse_record.ts";
import type {
  Block,
  FileHead,
  FileKind,
  RecordAt,
  RecordFile,
  RecordPlace,
} from "./record_file.ts";
import { firstLines, isJsonObject } from "./table_head.ts";

export const json: FileKind = {
  name: "JSON",
  expected: "a JSON list of objects",
  where: (name, { line }) => `${name}:row ${line}`,
  recognises: (head) => findRecordListIn(head) !== null,
  open: (path, name) => Promise.try(() => new JsonFile(name, RandomAccessFile.open(path))),
};

/** A list that goes on behind the first line, or has an object in it; what is an object a line is JSON Lines. */
function findRecordListIn(head: FileHead): RecordList | null {
  const { bytes, isWhole } = head;
  const list = findRecordList({
    size: bytes.length,
    read: (offset, length) => bytes.subarray(offset, offset + length),
  });
  if (list === null) return null;
  const [first = "", second] = firstLines(head);
  if (list.field !== null) return second === undefined || !isJsonObject(first) ? list : null;
  const value = parsed(first);
  if (Array.isArray(value)) return value.some(isObject) ? list : null;
  const goesOn = second !== undefined || !isWhole || /^\s*\[\s*\{/.test(first);
  return goesOn ? list : null;
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

class JsonFile implements RecordFile {
  readonly #name: string;
  readonly #file: RandomAccessFile;

  constructor(name: string, file: RandomAccessFile) {
    this.#name = name;
    this.#file = file;
  }

  async *blocks(): AsyncGenerator<Block> {
    const list = findRecordList(this.#file);
    if (list === null) throw this.#error("has no list of objects");
    const structure = new JsonStructure(this.#file, list.start);
    let block: Block | undefined;
    for (const { line, start, end } of elementsOf(structure, { line: 1, start: list.start })) {
      block ??= { line, start, end };
      // With the sign behind it, by which an element is known to be over.
      block.end = end + 1;
      if (line - block.line + 1 < BLOCK_RECORDS && end - block.start < BLOCK_BYTES) continue;
      yield block;
      block = undefined;
    }
    if (block !== undefined) yield block;
    this.#checkEnd(list, structure);
  }

  async *records(block: Block): AsyncGenerator<RecordAt> {
    const structure = new JsonStructure(this.#file, block.start, block.end);
    for (const element of elementsOf(structure, block)) {
      const record = loaded(this.#file, element);
      const place = placeOf(record);
      const where = json.where(this.#name, place);
      yield { where, place, parse: () => this.#parse(record), json: () => textOf(record, where) };
    }
  }

  read(place: RecordPlace): Promise<Record<string, unknown>> {
    return Promise.try(() => this.#parse(loaded(this.#file, recordAt(place))));
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }

  #parse(record: CutRecord): Record<string, unknown> {
    const where = json.where(this.#name, record);
    return parseRecord(textOf(record, where), where);
  }

  #checkEnd({ field, start }: RecordList, structure: JsonStructure): void {
    if (structure.at < start - 1 || structure.sign !== SIGN.closeList) {
      throw this.#error(`ends, or closes an object, inside its list`);
    }
    const other = field === null ? null : nextListOf(this.#file, structure);
    if (other !== null) {
      throw this.#error(
        `has the lists "${field}" and "${other.field}"; expected one: ` +
          `jq -c '.${field}[]' in.json > out.jsonl takes it out`,
      );
    }
    if (field === null && (structure.advance() || structure.isApart)) {
      throw this.#error("goes on behind its list");
    }
  }

  #error(problem: string): SpielError {
    return new SpielError("data", `"${this.#name}" ${problem}; expected ${json.expected}`);
  }
}

/** The elements of a list, from the beginning of one; the cursor then stands on what closes the list, or at the end. */
function* elementsOf(
  structure: JsonStructure,
  { line, start }: Pick<Block, "line" | "start">,
): Generator<CutRecord> {
  let before = start - 1;
  for (let depth = 0; depth >= 0 && structure.advance();) {
    const { sign, at } = structure;
    if (sign === SIGN.openList || sign === SIGN.openObject) depth++;
    if (sign === SIGN.closeList || sign === SIGN.closeObject) depth--;
    const isEmpty = depth < 0 && line === 1 && before === start - 1 && !structure.isApart;
    before = at;
    if (isEmpty || !(depth < 0 || depth === 0 && sign === SIGN.comma)) continue;
    yield { line: line++, start, end: at, ...structure.bytes(start, at) };
    start = at + 1;
  }
}
