/** Made-up names, lower case, spelled by syllables: `lena morito`. */

import type { Random } from "./random.ts";

const ONSETS = "b c d f g h j k l m n p r s t v w z br dr gr kl st tr".split(" ");
const VOWELS = "a e i o u y ei ia".split(" ");
const CODAS = "l m n r s t x nd rt".split(" ");

/** A given name and a last name. */
export interface Name {
  readonly given: string;
  readonly last: string;
}

/** A name; there are far more than a data set holds. */
export function makeName(random: Random): Name {
  return { given: makeWord(random, 1 + random.below(2)), last: makeWord(random, 2) };
}

/** Open syllables, and often a closing consonant. */
export function makeWord(random: Random, syllables: number): string {
  let word = "";
  for (let i = 0; i < syllables; i++) word += random.pick(ONSETS) + random.pick(VOWELS);
  return word.length < 4 || random.below(2) === 0 ? word + random.pick(CODAS) : word;
}
