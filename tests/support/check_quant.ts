/** Checks a folder of quantised goldens: decoders of every format the engine reads, encoders that have one right answer. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Engine } from "../../src/engine/engine.ts";
import type { FormatInfo } from "../../src/engine/protocol.gen.ts";
import { SafetensorsFile } from "../../src/io/safetensors.ts";
import { type CheckResult, Deviations, main, numbersOf } from "./check.ts";

/** Bytes of the codes of an NF4 block. */
const NF4_CODES = 32;

/** K-quants search their scales, so that several encodings are right. */
const IS_SEARCHED = /_K$/;

/** A type's block as quant.json describes it. */
interface Block {
  block_size: number;
  block_bytes: number;
}

/** Checks every type in the folder, to the bit; those the engine does not read are listed as unsupported. */
export async function checkQuant(engine: Engine, folder: string): Promise<CheckResult> {
  const deviations = new Deviations();
  const { types } = JSON.parse(readFileSync(join(folder, "quant.json"), "utf8")) as {
    types: Record<string, Block>;
  };
  using tensors = SafetensorsFile.open(join(folder, "quant.safetensors"));
  const packed = [...tensors.tensors.keys()].flatMap((name) =>
    /^(?!NF4)(\w+)\.packed$/.exec(name)?.[1] ?? []
  );
  const checked: string[] = [];
  const unsupported: string[] = [];
  for (const type of new Set([...Object.keys(types), ...packed])) {
    const info = engine.info.formats.find(({ format }) => format === type.toLowerCase());
    (info === undefined ? unsupported : checked).push(type);
    if (info === undefined) continue;
    noteBlock(type, info, types[type], deviations);
    for (const name of [type, `${type}.random`]) {
      if (!tensors.tensors.has(`${name}.packed`)) continue;
      const expected = numbersOf(tensors, `${name}.dequantized`);
      const packed = tensors.read(`${name}.packed`);
      await checkDecoder(engine, info, packed, { name, expected }, deviations);
    }
    if (!IS_SEARCHED.test(type)) {
      await checkEncoder(engine, info, tensors, tensors.read(`${type}.packed`), deviations);
    }
  }
  const nf4 = engine.info.formats.find(({ format }) => format === "nf4");
  if (nf4 === undefined) unsupported.push("NF4");
  else if (tensors.tensors.has("NF4.packed")) {
    await checkNf4(engine, nf4, tensors, deviations);
    checked.push("NF4");
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

/** Blocks of NF4 as bitsandbytes keeps them, codes and magnitudes apart; these may be quantised in turn. */
async function checkNf4(
  engine: Engine,
  info: FormatInfo,
  tensors: SafetensorsFile,
  deviations: Deviations,
): Promise<void> {
  const once = nf4Blocks(tensors.read("NF4.packed"), numbersOf(tensors, "NF4.absmax"));
  const nested = numbersOf(tensors, "NF4DQ.nested_absmax");
  const code = numbersOf(tensors, "NF4DQ.nested_code");
  const [offset = NaN] = numbersOf(tensors, "NF4DQ.offset");
  const magnitudes = Array.from(
    tensors.read("NF4DQ.absmax_u8"),
    (byte, block) => Math.fround(code[byte]! * nested[block >> 8]!) + offset,
  );
  const twice = nf4Blocks(tensors.read("NF4DQ.packed"), magnitudes);
  for (const [name, blocks] of [["NF4", once], ["NF4DQ", twice]] as const) {
    const expected = numbersOf(tensors, `${name}.dequantized`);
    await checkDecoder(engine, info, blocks, { name, expected }, deviations);
  }
  await checkEncoder(engine, info, tensors, once, deviations);
}

/** The engine's blocks: a magnitude, then its codes. */
function nf4Blocks(codes: Uint8Array, magnitudes: readonly number[]): Uint8Array {
  const blocks = new Uint8Array(codes.length / NF4_CODES * (4 + NF4_CODES));
  const view = new DataView(blocks.buffer);
  for (const [block, magnitude] of magnitudes.entries()) {
    const at = block * (4 + NF4_CODES);
    view.setFloat32(at, magnitude, true);
    blocks.set(codes.subarray(block * NF4_CODES, (block + 1) * NF4_CODES), at + 4);
  }
  return blocks;
}

async function checkDecoder(
  engine: Engine,
  { format }: FormatInfo,
  packed: Uint8Array,
  { name, expected }: { name: string; expected: readonly number[] },
  deviations: Deviations,
): Promise<void> {
  const bytes = await engine.convert(packed, format, "f32", expected.length);
  const decoded = new Float32Array(bytes.slice().buffer);
  deviations.noteArrays(`${name}.decoder`, decoded, expected, 0);
}

/** Counts the bytes that differ. */
async function checkEncoder(
  engine: Engine,
  { format }: FormatInfo,
  tensors: SafetensorsFile,
  expected: Uint8Array,
  deviations: Deviations,
): Promise<void> {
  const source = tensors.read("source");
  const encoded = await engine.convert(source, "f32", format, source.length / 4);
  const differing = encoded.length === expected.length
    ? encoded.reduce((count, byte, i) => count + (byte === expected[i] ? 0 : 1), 0)
    : Infinity;
  deviations.note(`${format}.encoder`, differing, 0);
}

if (import.meta.main) await main("check_quant", checkQuant);
