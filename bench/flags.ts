/** Command lines of measuring programs. */

import { EXIT_CODES, isSpielError } from "../src/errors.ts";
import { MeasurementFailure } from "./measurement.ts";

/**
 * What a program reads from its command line. What is wrong there is told in a sentence, with code 64; `--help` prints the
 * head of the program's file instead, which says what it measures and how it is called.
 */
export function commandLine<T>({ filename }: ImportMeta, read: () => T): T {
  if (filename !== undefined && Deno.args.includes("--help")) {
    console.log(headOf(Deno.readTextFileSync(filename)));
    Deno.exit(0);
  }
  try {
    return read();
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
    console.error(`error: ${error.message}`);
    Deno.exit(EXIT_CODES.usage);
  }
}

/** The comment that a file begins with. */
function headOf(source: string): string {
  const [, head = ""] = /^\/\*\*\n(.*?)\n \*\//s.exec(source) ?? [];
  return head.replaceAll(/^ \* ?/gm, "");
}

/**
 * What comes of work. What is wrong with a file or the machine is told in a sentence, with the code of docs/guide.md for
 * it, and a process that failed in what it said, with code 1.
 */
export async function telling<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isSpielError(error) && !(error instanceof MeasurementFailure)) throw error;
    console.error(`error: ${error.message}`);
    Deno.exit(isSpielError(error) ? EXIT_CODES[error.kind] : 1);
  }
}

/** A whole number of at least 1. @throws {RangeError} for anything else. */
export function count(flag: string, text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isInteger(value) && value > 0) return value;
  throw new RangeError(`${flag} is ${text}; expected a whole number of at least 1`);
}

/** Such a number where the flag is given. @throws {RangeError} for anything else. */
export function optionalCount(flag: string, text: string | undefined): number | undefined {
  return text === undefined ? undefined : count(flag, text);
}

/** A number above 0. @throws {RangeError} for anything else. */
export function positive(flag: string, text: string): number {
  const value = Number(text);
  if (value > 0 && Number.isFinite(value)) return value;
  throw new RangeError(`${flag} is ${text}; expected a number above 0`);
}

/** One of these words. @throws {RangeError} for anything else. */
export function oneOf<Word extends string>(
  flag: string,
  text: string,
  words: readonly Word[],
): Word {
  const word = words.find((word) => word === text);
  if (word !== undefined) return word;
  throw new RangeError(`${flag} is ${text}; expected one of ${words.join(", ")}`);
}

/** Such words, separated by commas. @throws {RangeError} for anything else. */
export function listOf<Word extends string>(
  flag: string,
  text: string,
  words: readonly Word[],
): readonly Word[] {
  return text.split(",").map((word) => oneOf(flag, word, words));
}

/** Sequences and their tokens, such as `4x256`. @throws {RangeError} for anything else. */
export function shapeOf(flag: string, text: string): readonly [number, number] {
  const [, sequences, length] = /^(\d+)x(\d+)$/.exec(text) ?? [];
  if (Number(sequences) > 0 && Number(length) > 0) return [Number(sequences), Number(length)];
  throw new RangeError(`${flag} has ${text}; expected sequences and their tokens, such as 4x256`);
}
