/** What the check scripts share: their command line, their engine, and the one JSON line that each prints. */

import { parseArgs } from "node:util";
import type { Engine } from "../../src/engine/engine.ts";
import { open } from "../../src/engine/open.ts";
import { SafetensorsFile } from "../../src/io/safetensors.ts";

/** The largest deviation found of each kind, with the bound that it must keep. */
export class Deviations {
  readonly #found = new Map<string, { largest: number; bound: number }>();

  /** Notes one deviation; one that is not a number breaks every bound. */
  note(kind: string, deviation: number, bound: number): void {
    const entry = this.#found.get(kind) ?? { largest: 0, bound };
    const value = Number.isNaN(deviation) ? Infinity : deviation;
    this.#found.set(kind, { largest: Math.max(entry.largest, value), bound });
  }

  /** Notes the largest absolute difference of two arrays of one length. */
  noteArrays(kind: string, actual: ArrayLike<number>, expected: ArrayLike<number>, bound: number) {
    this.note(kind, largestDifference(actual, expected), bound);
  }

  /** The largest deviations by kind; one without bounds in words, since JSON has no such number. */
  get largest(): Record<string, number | "infinite"> {
    return Object.fromEntries(
      [...this.#found].map(([kind, { largest }]) => [
        kind,
        largest === Infinity ? "infinite" : largest,
      ]),
    );
  }

  /** The kinds whose bound is broken. */
  get broken(): string[] {
    return [...this.#found].flatMap(([kind, { largest, bound }]) => largest <= bound ? [] : [kind]);
  }
}

/** max |a − e|; infinite when the lengths differ. */
export function largestDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Infinity;
  let largest = 0;
  for (let i = 0; i < actual.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!);
    // Written so that NaN counts as a deviation.
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}

/** |a − e| / |e| in the Frobenius norm. */
export function relativeDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Infinity;
  let [difference, norm] = [0, 0];
  for (let i = 0; i < actual.length; i++) {
    difference += (actual[i]! - expected[i]!) ** 2;
    norm += expected[i]! ** 2;
  }
  return Math.sqrt(difference) / Math.sqrt(norm);
}

/** Reads a tensor as numbers, whatever its element type. */
export function numbersOf(file: SafetensorsFile, name: string): number[] {
  const bytes = file.read(name).slice();
  const { dtype } = file.entry(name);
  switch (dtype) {
    case "F32":
      return Array.from(new Float32Array(bytes.buffer));
    case "I32":
      return Array.from(new Int32Array(bytes.buffer));
    case "I64":
      return Array.from(new BigInt64Array(bytes.buffer), Number);
    default:
      throw new Error(`${file.path}: "${name}" is ${dtype}, expected F32, I32 or I64`);
  }
}

/** What a check found. */
export interface CheckResult {
  readonly deviations: Deviations;
  /** Further members of the JSON line. */
  readonly details?: Record<string, unknown>;
}

/** A check of one golden folder. */
export type Check = (
  engine: Engine,
  folder: string,
  options: { model?: string },
) => Promise<CheckResult>;

/**
 * Runs a check from the command line: `DIR [--host native|wasm] [--device cpu|gpu] [--model FILE]`.
 *
 * Prints one JSON line and exits with 1 when a bound is broken.
 */
export async function main(name: string, check: Check): Promise<void> {
  const { values, positionals } = parseArgs({
    args: Deno.args,
    allowPositionals: true,
    options: {
      host: { type: "string", default: "auto" },
      device: { type: "string", default: "auto" },
      model: { type: "string" },
    },
  });
  const [folder] = positionals;
  if (folder === undefined) {
    console.error(`usage: ${name} DIR [--host native|wasm] [--device cpu|gpu] [--model FILE]`);
    Deno.exit(64);
  }
  const options = values.model === undefined ? {} : { model: values.model };
  await using engine = await open({
    host: values.host as "auto" | "native" | "wasm",
    device: values.device as "auto" | "cpu" | "gpu",
    allowSoftware: values.device === "gpu",
  });
  const { host, device } = engine.info;
  const subject = { check: name, folder, host, device };
  const print = (found: Record<string, unknown>) =>
    console.log(JSON.stringify({ ...subject, ...found }));
  try {
    const { deviations, details } = await check(engine, folder, options);
    const { largest, broken } = deviations;
    print({ ok: broken.length === 0, largest, broken, ...details });
    if (broken.length > 0) Deno.exitCode = 1;
  } catch (error) {
    print({ ok: false, error: error instanceof Error ? error.message : String(error) });
    Deno.exitCode = 1;
  }
}
