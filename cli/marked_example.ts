/** An example as the model sees it, with what it is trained on set off. */

import { printable } from "./format.ts";
import type { Ui } from "./ui.ts";

/** A stretch of text that is trained on, or not. */
export interface Stretch {
  text: string;
  trained: boolean;
}

/** Cuts token ids into stretches of the same kind and decodes each. */
export function stretchesOf(
  ids: Uint32Array,
  trained: Uint8Array,
  decode: (ids: Uint32Array) => string,
): Stretch[] {
  const stretches: Stretch[] = [];
  for (let start = 0; start < ids.length;) {
    const kind = trained[start];
    let end = start + 1;
    while (end < ids.length && trained[end] === kind) end++;
    stretches.push({ text: decode(ids.subarray(start, end)), trained: kind === 1 });
    start = end;
  }
  return stretches;
}

/** Text of the stretches: trained ones in green, or between `{+` and `+}` where there are no colours. */
export function markedText(ui: Ui, stretches: readonly Stretch[]): string {
  return stretches.map(({ text: raw, trained }) => {
    const text = printable(raw);
    if (!trained) return ui.paint("dim", text);
    const painted = ui.paint("green", text);
    return painted === text ? `{+${text}+}` : painted;
  }).join("");
}
