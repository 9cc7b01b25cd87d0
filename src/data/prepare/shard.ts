/** A prepared block as a data set reads it: its numbers in memory, its tokens there too or in a file of the cache. */
import { createHash } from "node:crypto";
import { SpielError } from "../../errors.ts";
import { isFile } from "../../io/random_access.ts";
import { SafetensorsFile } from "../../io/safetensors.ts";
import { safetensorsContent, type SafetensorsTensor } from "../../io/safetensors_writer.ts";
import type { Block, RecordPlace } from "../files/mod.ts";
import type { BlockArrays, PreparedBlock } from "./block.ts";
import type { KeptFiles } from "./kept_files.ts";

/** Examples by their index in a block. */
export interface Shard
  extends
    Pick<BlockArrays, "starts" | "targets" | "truncated" | "hashes">,
    Omit<PreparedBlock, "arrays"> {
  /** Number of examples. */
  readonly length: number;
  /** The bytes from one of `starts` to another, in a buffer of their own. */
  read(start: number, end: number): Uint8Array<ArrayBuffer>;
  /** Where an example's record stands. */
  place(index: number): RecordPlace;
}

/** Element and columns of each array in a file. */
const STORED = {
  examples: ["U8", 1],
  starts: ["U32", 1],
  targets: ["U32", 1],
  truncated: ["U32", 1],
  hashes: ["U32", 2],
  places: ["F64", 3],
} as const satisfies Record<keyof BlockArrays, readonly [dtype: string, columns: number]>;

const NAMES = Object.keys(STORED) as (keyof BlockArrays)[];

/** The array with all else, in JSON: the header of a file, where it could stand too, is bounded. */
const ABOUT = "about";

/** A shard that keeps everything in memory. */
export function shardInMemory({ arrays, ...rest }: PreparedBlock): Shard {
  const { examples, places, ...numbers } = arrays;
  return {
    ...numbers,
    ...rest,
    length: numbers.targets.length,
    read: (start, end) => examples.slice(start, end),
    place: (index) => placeIn(places.subarray(3 * index)),
  };
}

/** A whole shard file, in parts. */
export function shardContent(
  block: Block,
  { arrays, bad, hasEnds }: PreparedBlock,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const about = new TextEncoder().encode(JSON.stringify({ block, bad, hasEnds }));
  const tensors = NAMES.map((name): [string, SafetensorsTensor] => {
    const [dtype, columns] = STORED[name];
    const { length } = arrays[name];
    const shape = columns === 1 ? [length] : [length / columns, columns];
    return [name, { dtype, shape, parts: () => [arrays[name]] }];
  });
  tensors.push([ABOUT, { dtype: "U8", shape: [about.length], parts: () => [about] }]);
  return safetensorsContent(new Map(tensors), { metadata: { sha256: digestOf(about, arrays) } });
}

/**
 * Loads a shard whose examples and places stay in its file, to be read when they are asked for.
 *
 * @param block What it must have been made of.
 * @param kept What its file is kept open by.
 * @returns null where there is none, or it is damaged or of another block.
 * @throws {SpielError} kind "environment" when Deno may not read it.
 */
export function loadShard(path: string, block: Block, kept: KeptFiles): Shard | null {
  if (!isFile(path)) return null;
  try {
    using file = SafetensorsFile.open(path);
    const arrays = readArrays(file);
    const about = file.read(ABOUT);
    if (digestOf(about, arrays) !== file.metadata.sha256) return null;
    const { block: made, bad, hasEnds } = JSON.parse(new TextDecoder().decode(about));
    if (JSON.stringify(made) !== JSON.stringify(block)) return null;
    const { places, starts, targets, truncated, hashes } = arrays;
    const examplesAt = file.entry("examples").byteOffset;
    const placesAt = file.entry("places").byteOffset;
    const placeBytes = 3 * places.BYTES_PER_ELEMENT;
    return {
      ...{ starts, targets, truncated, hashes, bad, hasEnds, length: targets.length },
      read: (start, end) => readPart(kept, path, examplesAt + start, end - start),
      place: (index) =>
        placeIn(
          new Float64Array(readPart(kept, path, placesAt + index * placeBytes, placeBytes).buffer),
        ),
    };
  } catch (error) {
    if (error instanceof SpielError && error.kind === "data") return null;
    throw error;
  }
}

function readArrays(file: SafetensorsFile): BlockArrays {
  const { buffer: places } = file.read("places");
  const u32 = (name: keyof BlockArrays) => new Uint32Array(file.read(name).buffer);
  return {
    places: new Float64Array(places),
    starts: u32("starts"),
    targets: u32("targets"),
    truncated: u32("truncated"),
    hashes: u32("hashes"),
    examples: file.read("examples"),
  };
}

/** Reads a part of a file that was whole when it was loaded. */
function readPart(
  kept: KeptFiles,
  path: string,
  offset: number,
  length: number,
): Uint8Array<ArrayBuffer> {
  try {
    return kept.read(path, offset, length);
  } catch (cause) {
    if (!(cause instanceof SpielError)) throw cause;
    const message = `Prepared data is gone from the cache while it was in use: ${cause.message}`;
    throw new SpielError("storage", message, { cause });
  }
}

function placeIn([line, offset, length]: Float64Array): RecordPlace {
  return { line: line!, offset: offset!, length: length! };
}

function digestOf(about: Uint8Array, arrays: BlockArrays): string {
  const hash = createHash("sha256").update(about);
  for (const name of NAMES) hash.update(arrays[name]);
  return hash.digest("hex");
}
