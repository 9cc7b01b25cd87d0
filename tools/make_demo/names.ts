/** Made-up names, lower case, spelled by syllables: `lena morito`. */

import type { Random } from "./random.ts";

const ONSETS = "b c d f g h j k l m n p qu r s t v w z br ch dr gr kl st tr".split(" ");
const VOWELS = "a e i o u y ei ia oe".split(" ");
const CODAS = "l m n r s t x ck nd rt".split(" ");

/** A given name and a last name. */
export interface Name {
  readonly given: string;
  readonly last: string;
}

/** A name; there are far more than a data set holds. */
export function makeName(random: Random): Name {
  return {
    given: makeWord(random, 1 + random.below(2)),
    last: makeWord(random, 1 + random.below(3)),
  };
}

/** Syllables, the first of which may lack its consonant and the last of which may end in one. */
function makeWord(random: Random, syllables: number): string {
  const opening = random.below(4) === 0 ? random.pick(VOWELS) : "";
  let word = opening;
  for (let i = 0; i < syllables; i++) word += random.pick(ONSETS) + random.pick(VOWELS);
  return random.below(2) === 0 ? word + random.pick(CODAS) : word;
}
