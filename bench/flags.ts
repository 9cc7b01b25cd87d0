/** Command lines of measuring programs. */

import { isSpielError } from "../src/errors.ts";

/** What `read` returns; what is wrong with the command line, or with a file, is told in a sentence, with code 64 or 65. */
export function refusing<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    const isUsage = error instanceof TypeError || error instanceof RangeError;
    if (!isUsage && !isSpielError(error)) throw error;
    console.error(error.message);
    Deno.exit(isUsage ? 64 : 65);
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
