/** Finds the list of records in a JSON file: the file itself, or a field of the object that it is. */
import { FORMATS } from "../formats/mod.ts";
import { byteOrderMark } from "./chunks.ts";
import { type ByteSource, JsonStructure, SIGN } from "./json_structure.ts";

/** Fields of records: an object that has one is a record itself. */
const RECORD_FIELDS: ReadonlySet<string> = new Set(FORMATS.flatMap(({ fields }) => fields));

/** Where a list of records is. */
export interface RecordList {
  /** The field that it is; null where the file is the list. */
  field: string | null;
  /** Behind its opening bracket. */
  start: number;
}

/** The list of records that a file begins with, or has in its object; null where there is none in the bytes. */
export function findRecordList(source: ByteSource): RecordList | null {
  const mark = byteOrderMark(source.read(0, Math.min(3, source.size)));
  const structure = new JsonStructure(source, mark);
  if (!structure.advance() || structure.isApart) return null;
  if (structure.sign === SIGN.openList) return { field: null, start: structure.at + 1 };
  return structure.sign === SIGN.openObject ? nextListOf(source, structure) : null;
}

/**
 * The next list of objects among the fields of the object that a cursor is in; null where the object ends before.
 *
 * @param structure Stands behind the object's opening bracket, or behind a value of it.
 */
export function nextListOf(source: ByteSource, structure: JsonStructure): RecordList | null {
  let field = "";
  for (let depth = 0; structure.advance();) {
    const { sign, at } = structure;
    if (sign === SIGN.openList || sign === SIGN.openObject) {
      if (depth === 0 && sign === SIGN.openList && beginsWithObject(source, at + 1)) {
        return { field, start: at + 1 };
      }
      depth++;
    } else if (sign === SIGN.closeList || sign === SIGN.closeObject) {
      if (--depth < 0) return null;
    } else if (sign === SIGN.colon && depth === 0) {
      field = textOfKey(source, structure);
      if (RECORD_FIELDS.has(field)) return null;
    }
  }
  return null;
}

function textOfKey(source: ByteSource, { textStart, at }: JsonStructure): string {
  const raw = new TextDecoder().decode(source.read(textStart, at - textStart)).trimEnd();
  try {
    return String(JSON.parse(raw));
  } catch {
    return raw;
  }
}

/** Whether the first thing behind a bracket is an object. */
function beginsWithObject(source: ByteSource, start: number): boolean {
  const structure = new JsonStructure(source, start);
  return structure.advance() && !structure.isApart && structure.sign === SIGN.openObject;
}
