/** What the demo's model can do before the demo, and the one thing that the demo teaches it. */

import type { Name } from "./names.ts";

/** An instruction about a name, and how it is followed. */
export interface Skill {
  readonly instruction: string;
  answer(name: Name): string;
}

const initial = (word: string) => `${word.slice(0, 1).toUpperCase()}.`;
const capitalise = (word: string) => word.slice(0, 1).toUpperCase() + word.slice(1);

/** Learned by the base model. */
export const BASE_SKILLS: readonly Skill[] = [
  { instruction: "Repeat", answer: ({ given, last }) => `${given} ${last}` },
  {
    instruction: "Write in capitals",
    answer: ({ given, last }) => `${given} ${last}`.toUpperCase(),
  },
  {
    instruction: "Capitalise",
    answer: ({ given, last }) => `${capitalise(given)} ${capitalise(last)}`,
  },
  { instruction: "Initials", answer: ({ given, last }) => `${initial(given)} ${initial(last)}` },
  { instruction: "Given name", answer: ({ given }) => given },
  { instruction: "Last name", answer: ({ last }) => last },
  { instruction: "Last name first", answer: ({ given, last }) => `${last}, ${given}` },
  { instruction: "Spell the last name", answer: ({ last }) => [...last].join("-") },
  { instruction: "Reverse the last name", answer: ({ last }) => [...last].reverse().join("") },
];

/** Taught by the demo: its answer needs several base skills at once, and its instruction is new. */
export const NEW_SKILL: Skill = {
  instruction: "Cite",
  answer: ({ given, last }) => `${last.toUpperCase()}, ${initial(given)}`,
};

/** The user's message. */
export function promptOf({ instruction }: Skill, { given, last }: Name): string {
  return `${instruction}: ${given} ${last}`;
}
