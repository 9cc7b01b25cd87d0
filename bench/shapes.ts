/** What a profile has of every operation, shape and format. */

import type { ProfileRow } from "../src/engine/protocol.gen.ts";
import { type OperationSum, sumByOperation } from "../src/train/profile.ts";

/**
 * Joins the rows of each operation, shape and format, which the sums have as their name; the slowest first. There is
 * more than one row where the work depends on more than the shape, as that of attention does on the tokens before.
 */
export function sumByShape(rows: readonly ProfileRow[]): OperationSum[] {
  const named = rows.map((row) => ({
    ...row,
    operation: [row.operation, row.shape.join("x"), row.format ?? ""]
      .filter((part) => part !== "").join(" "),
  }));
  return sumByOperation(named, null);
}
