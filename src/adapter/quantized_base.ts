/** Adapters that were trained on a quantised base, and what becomes of the base when they are used. */

import { canBeQuantized, type QuantizedFormat } from "../model/load.ts";
import type { ModelSource } from "../model/source.ts";
import type { Adapter } from "./adapter.ts";

/** How a model is to be held, and why where nobody asked for it. */
export interface Quantization {
  /** The format of its layers; undefined for as they are stored. */
  readonly quantize: QuantizedFormat | undefined;
  /** A sentence where this follows from the adapter; else null. */
  readonly notice: string | null;
}

/**
 * How the base of an adapter is held: as asked for, else as it was when the adapter was trained. A base that is stored
 * in blocks already stays as it is.
 *
 * @param asked What the user says; `none` for as stored.
 * @param folder The adapter, for messages.
 */
export function quantizationFor(
  asked: QuantizedFormat | "none" | undefined,
  adapter: Adapter | null,
  folder: string | undefined,
  source: Pick<ModelSource, "path" | "tensors">,
): Quantization {
  const trained = adapter?.config.spiel?.quantize;
  if (asked !== undefined || trained === undefined || !canBeQuantized(source)) {
    return { quantize: asked === "none" ? undefined : asked, notice: null };
  }
  const notice = `Adapter "${folder}" was trained on a base quantised to ${trained}, so ` +
    `"${source.path}" is quantised likewise; --quantize none takes it as it is stored`;
  return { quantize: trained, notice };
}

/** The warning for a run that begins with an adapter of a base held otherwise; null where nothing speaks for that. */
export function otherQuantizationWarning(
  { config: { spiel } }: Adapter,
  folder: string,
  quantize: QuantizedFormat | undefined,
): string | null {
  if (spiel === undefined || spiel.quantize === quantize) return null;
  const [before, now] = [spiel.quantize, quantize].map((format) =>
    format === undefined ? "as it is stored" : `quantised to ${format}`
  );
  return `Adapter "${folder}" was trained on its base ${before}, which is ${now} here; ` +
    `--quantize ${spiel.quantize ?? "none"} holds it as then`;
}
