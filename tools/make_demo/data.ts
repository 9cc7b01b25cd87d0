/** The demo's examples: one JSON object with a question and its answer per line. */

import { makeName, type Name } from "./names.ts";
import { Random } from "./random.ts";
import { promptOf, type Skill } from "./skills.ts";

/** Examples of random skills about names that differ from one another and from those in `used`, which they join. */
export function makeExamples(
  count: number,
  skills: readonly Skill[],
  seed: number,
  used: Set<string> = new Set(),
): string {
  const random = new Random(seed);
  let lines = "";
  for (let made = 0; made < count;) {
    const name = makeName(random);
    const key = `${name.given} ${name.last}`;
    if (used.has(key)) continue;
    used.add(key);
    lines += JSON.stringify(conversation(random.pick(skills), name)) + "\n";
    made++;
  }
  return lines;
}

function conversation(skill: Skill, name: Name) {
  return {
    messages: [
      { role: "user", content: promptOf(skill, name) },
      { role: "assistant", content: skill.answer(name) },
    ],
  };
}
