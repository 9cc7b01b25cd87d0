/** Reads SentencePiece's tokenizer.model: a protobuf message, of which the fields that tokenising needs are taken. */
import { SpielError } from "../errors.ts";
import { RandomAccessFile } from "../io/random_access.ts";
import type { Piece, PieceVocabulary } from "./tokenizer_sentencepiece.ts";

/** Far more than any tokenizer takes: one with 256 000 pieces has 4 MB. */
const MAX_BYTES = 32 * 1024 * 1024;

/** `trainer_spec.model_type`. */
const MODEL_TYPES: ReadonlyMap<number, "Unigram" | "BPE"> = new Map([[1, "Unigram"], [2, "BPE"]]);

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** A field's value: bytes where it has a length, else the number. */
type Value = number | Uint8Array;

/** What a tokenizer.model holds. */
export interface SentencePieceModel {
  vocabulary: PieceVocabulary;
  /** Ids of the pieces that begin and end a text; null when there is none. */
  bos: number | null;
  eos: number | null;
}

/**
 * Reads a tokenizer.model.
 *
 * @throws {SpielError} kind "data" naming the file, the field and what is wrong with it.
 */
export function readSentencePieceModel(path: string): SentencePieceModel {
  using file = RandomAccessFile.open(path);
  if (file.size > MAX_BYTES) {
    throw new SpielError("data", `${path} has ${file.size} bytes; expected at most ${MAX_BYTES}`);
  }
  const pieces: Piece[] = [];
  let trainer = new Map<number, Value>();
  let normalizer = new Map<number, Value>();
  for (const [field, value] of fields(file.read(0, file.size), path)) {
    if (field === 1) pieces.push(readPiece(message(value, path, "pieces"), pieces.length, path));
    if (field === 2) trainer = new Map(fields(message(value, path, "trainer_spec"), path));
    if (field === 3) normalizer = new Map(fields(message(value, path, "normalizer_spec"), path));
  }
  if (pieces.length === 0) throw damaged(path, "it has no pieces");
  const number = (spec: Map<number, Value>, field: number, absent: number) => {
    const value = spec.get(field) ?? absent;
    if (typeof value !== "number") throw damaged(path, `field ${field} is not a number`);
    return value;
  };
  const type = MODEL_TYPES.get(number(trainer, 3, 1));
  if (type === undefined) {
    throw new SpielError(
      "data",
      `${path}: model_type ${
        number(trainer, 3, 1)
      } is not supported; supported: 1 (Unigram), 2 (BPE)`,
    );
  }
  if (number(trainer, 24, 0) !== 0) {
    throw new SpielError(
      "data",
      `${path}: treat_whitespace_as_suffix is true, which is not supported`,
    );
  }
  if (number(normalizer, 5, 1) === 0) {
    throw new SpielError("data", `${path}: escape_whitespaces is false, which is not supported`);
  }
  const charsmap = normalizer.get(2);
  const id = (field: number, absent: number) => {
    const value = number(trainer, field, absent);
    return value >= 0 && value < pieces.length ? value : null;
  };
  return {
    vocabulary: {
      type,
      pieces,
      unknown: id(40, 0),
      byteFallback: number(trainer, 35, 0) !== 0,
      spacePrefix: number(normalizer, 3, 1) === 0 ? "none" : "every",
      removesExtraSpaces: number(normalizer, 4, 1) !== 0,
      characterMap: charsmap instanceof Uint8Array && charsmap.length > 0 ? charsmap : null,
    },
    bos: id(41, 1),
    eos: id(42, 2),
  };
}

function damaged(path: string, reason: string): SpielError {
  return new SpielError("data", `${path} is not a SentencePiece model: ${reason}`);
}

function message(value: Value, path: string, name: string): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw damaged(path, `${name} is a number`);
}

function readPiece(bytes: Uint8Array, id: number, path: string): Piece {
  const values = new Map(fields(bytes, path));
  const text = values.get(1);
  const score = values.get(2) ?? new Uint8Array(4);
  const type = values.get(3) ?? 1;
  const isScore = score instanceof Uint8Array && score.length === 4;
  if (!(text instanceof Uint8Array) || !isScore || typeof type !== "number") {
    throw damaged(path, `piece ${id} is not a text with a score and a type`);
  }
  try {
    return {
      text: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(text),
      score: new DataView(score.buffer, score.byteOffset, 4).getFloat32(0, true),
      type,
    };
  } catch (cause) {
    throw new SpielError("data", `${path}: piece ${id} is not valid UTF-8`, { cause });
  }
}

/** The fields of a message, in order. Those of 4 or 8 bytes are given as bytes. */
function* fields(bytes: Uint8Array, path: string): Generator<[field: number, value: Value]> {
  let at = 0;
  /** The last number's lower 32 bits, of more than which no value makes use: a negative one is written with 64. */
  let low = 0;
  const varint = () => {
    let value = 0;
    low = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = bytes[at++];
      if (byte === undefined) throw damaged(path, "it ends inside a number");
      value += (byte & 0x7F) * 2 ** shift;
      if (shift < 32) low |= (byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    throw damaged(path, "a number has more than 10 bytes");
  };
  const take = (length: number) => {
    if (length > bytes.length - at) {
      throw damaged(path, `a field of ${length} bytes reaches over its end`);
    }
    return bytes.subarray(at, at += length);
  };
  while (at < bytes.length) {
    const key = varint();
    const field = Math.floor(key / 8);
    switch (key % 8) {
      case VARINT:
        varint();
        yield [field, low];
        break;
      case FIXED64:
        yield [field, take(8)];
        break;
      case BYTES:
        yield [field, take(varint())];
        break;
      case FIXED32:
        yield [field, take(4)];
        break;
      default:
        throw damaged(path, `field ${field} has the unknown wire type ${key % 8}`);
    }
  }
}
