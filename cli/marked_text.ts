/** An example as the model sees it, with what it is trained on set off. */

import type { Stretch } from "../mod.ts";
import { printable } from "./format.ts";
import type { Ui } from "./ui.ts";

/** Text of the stretches: trained ones in green, or between `{+` and `+}` where there are no colours. */
export function markedText(ui: Ui, stretches: readonly Stretch[]): string {
  return stretches.map(({ text: raw, trained }) => {
    const text = printable(raw);
    if (!trained) return ui.paint("dim", text);
    const painted = ui.paint("green", text);
    return painted === text ? `{+${text}+}` : painted;
  }).join("");
}
