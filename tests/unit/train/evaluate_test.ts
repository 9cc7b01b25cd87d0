/** Evaluations: the answers of an exam, on the fake engine. */

import assert from "node:assert/strict";
import { evaluate, type Exam } from "../../../src/train/evaluate.ts";
import { openFakeEngine } from "../../support/fake_engine.ts";
import { createToy, toyHeldOut } from "../../support/toy_run.ts";

/** What the fake engine, whose likeliest token is the last one plus one, answers to prompts of 3, 4 and 6 tokens. */
async function answers(limits: Pick<Exam, "maxNewTokens" | "maxLength">): Promise<string[]> {
  const { engine } = await openFakeEngine();
  await createToy(engine, "spiel-ag");
  const given: string[] = [];
  const questions = [3, 4, 6].map((length) => ({
    text: "",
    prompt: Uint32Array.from({ length }, (_, i) => i),
    answer: `${length} ${length + 1}`,
  }));
  const decode = (ids: readonly number[]) => ids.join(" ");
  const onAnswer = (_: unknown, answer: string) => void given.push(answer);
  const exam = { questions, stopTokens: [], decode, onAnswer, ...limits };
  const result = await evaluate(engine, toyHeldOut(0), exam);
  const right = questions.filter(({ answer }, index) => answer === given[index]).length;
  assert.equal(result?.exactMatch, right / 3);
  await engine.close();
  return given;
}

Deno.test("exam: answers end with the tokens allowed, or where the model's positions end", async () => {
  assert.deepEqual(await answers({ maxNewTokens: 2, maxLength: 32 }), ["3 4", "4 5", "6 7"]);
  assert.deepEqual(await answers({ maxNewTokens: 2, maxLength: 5 }), ["3 4", "4", ""]);
});
