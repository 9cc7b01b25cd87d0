/** The precision of a run that goes on: it keeps what it took, which `auto` alone does not tell. */

import type { CheckpointState } from "../checkpoint/state.ts";
import { SpielError } from "../errors.ts";
import type { ConfigRecord, RecordedRun } from "./recorded_run.ts";
import type { ResolvedConfig } from "./run_config.ts";

/** Whether a run left its precision to its machine, so that its checkpoints alone say which one it took. */
export function leftPrecisionOpen(record: ConfigRecord | null): boolean {
  return record?.["precision"]?.value === "auto";
}

/**
 * Refuses to go on in another precision than the one that `auto` took when the run began.
 *
 * @throws {SpielError} `usage`
 */
export function refuseOtherThanTaken(
  { record, path }: RecordedRun,
  { precision: taken }: Pick<CheckpointState, "precision">,
  { config: { precision: asked } }: ResolvedConfig,
): void {
  if (!leftPrecisionOpen(record) || asked === "auto" || asked === taken) return;
  throw new SpielError(
    "usage",
    `Cannot resume "${path}" with precision ${asked}: the run began with precision auto, which took ${taken}; ` +
      `give auto or ${taken}, or start anew with another --out`,
  );
}

/** The configuration by which a run is known: under the precision that it was begun with. */
export function asBegun(resolved: ResolvedConfig, record: ConfigRecord | null): ResolvedConfig {
  const { config, origins } = resolved;
  if (!leftPrecisionOpen(record) || config.precision === "auto") return resolved;
  return {
    config: { ...config, precision: "auto" },
    origins: { ...origins, precision: "config.json" },
  };
}
