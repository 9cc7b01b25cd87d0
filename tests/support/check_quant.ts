/** Checks a folder of quantised goldens: decoders of every format the engine reads, encoders that have one right answer. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Engine } from "../../src/engine/engine.ts";
import type { FormatInfo } from "../../src/engine/protocol.gen.ts";
import { SafetensorsFile } from "../../src/io/safetensors.ts";
import { type CheckResult, Deviations, largestDifference, main, numbersOf } from "./check.ts";

/** Deviation of a decoded element, relative to the largest of its row. */
const DECODER_BOUND = 1e-6;

/** K-quants search their scales, so that several encodings are right. */
const IS_SEARCHED = /_K$/;

/** A type's block as quant.json describes it. */
interface Block {
  block_size: number;
  block_bytes: number;
}

/** Checks every type in the folder; those the engine does not read are listed as unsupported. */
export async function checkQuant(engine: Engine, folder: string): Promise<CheckResult> {
  const deviations = new Deviations();
  const { types } = JSON.parse(readFileSync(join(folder, "quant.json"), "utf8")) as {
    types: Record<string, Block>;
  };
  using tensors = SafetensorsFile.open(join(folder, "quant.safetensors"));
  const packed = [...tensors.tensors.keys()].flatMap((name) =>
    /^(\w+)\.packed$/.exec(name)?.[1] ?? []
  );
  const checked: string[] = [];
  const unsupported: string[] = [];
  for (const type of new Set([...Object.keys(types), ...packed])) {
    const info = engine.info.formats.find(({ format }) => format === type.toLowerCase());
    (info === undefined ? unsupported : checked).push(type);
    if (info === undefined) continue;
    noteBlock(type, info, types[type], deviations);
    await checkDecoder(engine, info, tensors, type, deviations);
    if (tensors.tensors.has(`${type}.random.packed`)) {
      await checkDecoder(engine, info, tensors, `${type}.random`, deviations);
    }
    if (!IS_SEARCHED.test(type)) await checkEncoder(engine, info, tensors, type, deviations);
  }
  return { deviations, details: { checked, unsupported } };
}

function noteBlock(
  type: string,
  info: FormatInfo,
  block: Block | undefined,
  deviations: Deviations,
) {
  if (block === undefined) return;
  const [actual, expected] = [
    [info.blockElements, info.blockBytes],
    [block.block_size, block.block_bytes],
  ];
  deviations.noteArrays(`${type}.block`, actual, expected, 0);
}

async function checkDecoder(
  engine: Engine,
  { format }: FormatInfo,
  tensors: SafetensorsFile,
  name: string,
  deviations: Deviations,
): Promise<void> {
  const expected = numbersOf(tensors, `${name}.dequantized`);
  const columns = tensors.entry(`${name}.dequantized`).shape.at(-1)!;
  const packed = tensors.read(`${name}.packed`);
  const bytes = await engine.convert(packed, format, "f32", expected.length);
  const decoded = new Float32Array(bytes.slice().buffer);
  for (let start = 0; start < expected.length; start += columns) {
    const row = expected.slice(start, start + columns);
    const difference = largestDifference(decoded.subarray(start, start + columns), row);
    const largest = row.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    // A row of zeros must come out as zeros.
    const relative = difference === 0 ? 0 : difference / largest;
    deviations.note(`${name}.decoder`, relative, DECODER_BOUND);
  }
}

/** Counts the bytes that differ. */
async function checkEncoder(
  engine: Engine,
  { format }: FormatInfo,
  tensors: SafetensorsFile,
  type: string,
  deviations: Deviations,
): Promise<void> {
  const source = tensors.read("source");
  const expected = tensors.read(`${type}.packed`);
  const encoded = await engine.convert(source, "f32", format, source.length / 4);
  const differing = encoded.length === expected.length
    ? encoded.reduce((count, byte, i) => count + (byte === expected[i] ? 0 : 1), 0)
    : Infinity;
  deviations.note(`${type}.encoder`, differing, 0);
}

if (import.meta.main) await main("check_quant", checkQuant);
