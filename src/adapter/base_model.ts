/** Whether an adapter meets the base model that its deltas were trained on. */

import type { SftConfig } from "./sft_config.ts";

/**
 * The warning for an adapter on another base model, or null where it is the same or the adapter does not say.
 * Deltas on another base can be intended, such as on a quantised copy, so this is no error.
 *
 * @param hash The identity of the model at hand, as `modelIdentity` gives it.
 */
export function otherBaseWarning(
  { spiel }: SftConfig,
  adapter: string,
  hash: string,
  model: string,
): string | null {
  if (spiel === undefined || spiel.base_model_hash === hash) return null;
  return `Adapter "${adapter}" was trained on another base model than "${model}" ` +
    "(its base_model_hash differs); its deltas may not make sense on this one";
}
