/** How data files are read, in a line for each way. */

import type { RecognisedFile } from "../mod.ts";
import { formatAmount, printable } from "./format.ts";
import type { Ui } from "./ui.ts";

/** Shows how files are read and why; of several that are read alike, the first with its reason. */
export function showRecognised(ui: Ui, files: readonly RecognisedFile[]): void {
  const ways = Map.groupBy(files, ({ kind, format }) => `${kind}, ${format}`);
  for (const [way, [first, ...others]] of ways) {
    const more = others.length === 0 ? "" : ` and ${formatAmount(others.length, "more file")}`;
    ui.line(printable(`${first!.path}${more}: ${way} (${first!.why})`));
  }
}
