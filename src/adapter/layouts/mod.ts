/** The adapter layouts that are known: one line each. */

import { configError } from "./config.ts";
import { IA3 } from "./ia3.ts";
import type { AdapterLayout } from "./layout.ts";
import { LORA } from "./lora.ts";
import { SFT } from "./sft.ts";
import { SHIRA } from "./shira.ts";
import { SUPERTUNING } from "./supertuning.ts";

/** In the order of messages. */
export const LAYOUTS: readonly AdapterLayout[] = [SFT, SUPERTUNING, SHIRA, LORA, IA3];

/** Kinds of adapters that change no weights, so that nothing here can hold them. */
const OTHERS: Readonly<Record<string, string>> = {
  PREFIX_TUNING: "it puts learnt keys and values before every text",
  PROMPT_TUNING: "it puts learnt embeddings before every text",
  P_TUNING: "it puts learnt embeddings before every text",
};

/**
 * The layout of an `adapter_config.json`.
 *
 * @throws {SpielError} "data" that names the kind of adapter and those that are read.
 */
export function layoutOf(json: Readonly<Record<string, unknown>>, path: string): AdapterLayout {
  const { peft_type: type } = json;
  const layout = LAYOUTS.find(({ peftType }) => peftType === type);
  if (layout !== undefined) return layout;
  const expected = `expected one of ${LAYOUTS.map(({ peftType }) => peftType).join(", ")}`;
  if (type === undefined) throw configError(path, `it has no peft_type, ${expected}`);
  const reason = typeof type === "string" && Object.hasOwn(OTHERS, type)
    ? `: ${OTHERS[type]} and changes no weights`
    : "";
  throw configError(path, `peft_type is ${JSON.stringify(type)}${reason}; ${expected}`);
}
