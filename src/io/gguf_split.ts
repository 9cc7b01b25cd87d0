/** GGUF models split into parts, `NAME-00002-of-00005.gguf`: which files belong together, and whether they do. */
import { basename, dirname, join } from "node:path";
import { SpielError } from "../errors.ts";
import type { GgufValue } from "./gguf_cursor.ts";
import type { GgufPart } from "./gguf_part.ts";
import { isFile, isFolder, namesIn } from "./random_access.ts";

const PART_NAME = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/;
const NUMBER = "split.no";
const COUNT = "split.count";
const TENSORS = "split.tensors.count";

/** What a part's name says: parts are numbered from 1. */
interface PartName {
  stem: string;
  number: number;
  count: number;
}

/** What a file's name says of the part that it is; null for a name of another form. */
function partName(path: string): PartName | null {
  const [, stem, number, count] = PART_NAME.exec(basename(path)) ?? [];
  return stem === undefined ? null : { stem, number: Number(number), count: Number(count) };
}

function pathOfPart(folder: string, { stem, count }: PartName, number: number): string {
  const [which, all] = [number, count].map((value) => String(value).padStart(5, "0"));
  return join(folder, `${stem}-${which}-of-${all}.gguf`);
}

/**
 * The first of the parts in a folder, when they and no other .gguf file lie in it; undefined otherwise. Some may be
 * missing, which is found when they are opened.
 */
export function splitModelIn(folder: string): string | undefined {
  const paths = namesIn(folder).filter((name) => name.endsWith(".gguf"))
    .map((name) => firstPartOf(join(folder, name)));
  return new Set(paths).size === 1 && partName(paths[0]!) !== null ? paths[0] : undefined;
}

/** The path that the first part has beside a given one; of a model in one file, its own. */
export function firstPartOf(path: string): string {
  const name = partName(path);
  return name === null ? path : pathOfPart(dirname(path), name, 1);
}

/**
 * Every file of the model that a path names, in their order.
 *
 * @param path A file, any part, or a folder with the parts of one model.
 * @throws {SpielError} kind "data" naming the part that is missing.
 */
export function partPaths(path: string): [string, ...string[]] {
  const file = isFolder(path) ? splitModelIn(path) ?? path : path;
  const name = partName(file);
  if (name === null) return [file];
  if (name.count < 1 || name.number < 1 || name.number > name.count) {
    throw new SpielError(
      "data",
      `${file} is named as part ${name.number} of ${name.count}; expected a part from 1 on`,
    );
  }
  const paths: string[] = [];
  for (let number = 1; number <= name.count; number++) {
    const part = pathOfPart(dirname(file), name, number);
    if (!isFile(part)) {
      throw new SpielError(
        "data",
        `"${part}" is missing: part ${number} of the ${name.count} that the model is split into`,
      );
    }
    paths.push(part);
  }
  return paths as [string, ...string[]];
}

/**
 * Checks that files are what they are named as: all parts of one model, each in its place.
 *
 * @returns The part that each tensor lies in.
 * @throws {SpielError} kind "data" naming the file, the field, its value and what was expected.
 */
export function checkParts(parts: readonly [GgufPart, ...GgufPart[]]): Map<string, GgufPart> {
  const [first] = parts;
  const partOf = new Map<string, GgufPart>();
  const name = partName(first.path);
  if (name === null) checkWhole(first);
  for (const [index, part] of parts.entries()) {
    if (name !== null) {
      expectNumber(part, NUMBER, index);
      expectNumber(part, COUNT, name.count);
      checkSameModel(first, part);
    }
    for (const tensor of part.tensors.keys()) {
      const other = partOf.get(tensor);
      if (other !== undefined) {
        throw refusal(part, `tensor "${tensor}" is in ${basename(other.path)} as well`);
      }
      partOf.set(tensor, part);
    }
  }
  if (name !== null) expectNumber(first, TENSORS, partOf.size, " in all parts");
  return partOf;
}

/** A part under a name of its own could not be told from a damaged model. */
function checkWhole(file: GgufPart): void {
  const count = file.metadata.get(COUNT);
  if (count === undefined || count === 1) return;
  throw refusal(
    file,
    `${COUNT} is ${count}, so it is a part of a split model; ` +
      "expected a name such as model-00001-of-00002.gguf, beside the other parts",
  );
}

/** A model in one part need not say so. */
function expectNumber(part: GgufPart, key: string, expected: number, where = ""): void {
  const value = part.metadata.get(key);
  if (value === expected || value === undefined && partName(part.path)?.count === 1) return;
  const found = value === undefined ? "is missing" : `is ${value}`;
  throw refusal(part, `${key} ${found}; expected ${expected}${where}`);
}

/** What later parts repeat of the metadata must be what the first says. */
function checkSameModel(first: GgufPart, part: GgufPart): void {
  for (const [key, value] of part.metadata) {
    const expected = first.metadata.get(key);
    if (key === NUMBER || expected === undefined || isSame(value, expected)) continue;
    throw refusal(
      part,
      `${key} is not what ${basename(first.path)} says, so they are parts of different models`,
    );
  }
}

function isSame(a: GgufValue, b: GgufValue): boolean {
  if (!Array.isArray(a) || !Array.isArray(b)) return a === b;
  return a.length === b.length && a.every((value, index) => isSame(value, b[index]!));
}

function refusal({ path }: GgufPart, reason: string): SpielError {
  return new SpielError("data", `${path}: ${reason}`);
}
