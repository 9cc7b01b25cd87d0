/** What people see while an evaluation is under way, which may take minutes. */

import type { EvaluationProgress } from "../mod.ts";
import { formatAmount, formatCount } from "./format.ts";
import type { Ui } from "./ui.ts";

const WORDS = {
  loss: { doing: "evaluating", noun: "held-out example" },
  answers: { doing: "answering", noun: "held-out question" },
} as const satisfies Record<EvaluationProgress["stage"], { doing: string; noun: string }>;

/** Shows how far it has come in the status line, or says what begins where there is none. */
export function showEvaluating(ui: Ui, { stage, done, total }: EvaluationProgress): void {
  const { doing, noun } = WORDS[stage];
  if (ui.interactive) ui.status(`${doing} ${formatCount(done)}/${formatCount(total)}`);
  else if (done === 0) ui.line(`${doing} ${formatAmount(total, noun)}`);
}
