/** A terminal that remembers what was written to it. */

import type { Terminal } from "../../cli/ui.ts";

/** A terminal with what went to its two streams. */
export interface RememberingTerminal extends Terminal {
  out: string;
  err: string;
}

/** Makes one; not interactive, without colours and 80 characters wide unless told otherwise. */
export function rememberingTerminal(
  traits: Partial<Pick<Terminal, "interactive" | "colour" | "columns">> = {},
): RememberingTerminal {
  return {
    out: "",
    err: "",
    interactive: false,
    colour: false,
    columns: 80,
    ...traits,
    stdout(text) {
      this.out += text;
    },
    stderr(text) {
      this.err += text;
    },
  };
}
