/** Writes adapter folders. */

import { basename, dirname, resolve } from "node:path";
import { SpielError } from "../errors.ts";
import { canonicalJson } from "../io/canonical_json.ts";
import { type Files, storageError } from "../io/files.ts";
import { indexOfNonFinite } from "../io/finite.ts";
import { publishFolder } from "../io/publish.ts";
import { safetensorsContent } from "../io/safetensors_writer.ts";
import { CONFIG_NAME, WEIGHTS_NAME } from "./names.ts";
import type { EncodedAdapter } from "./layouts/layout.ts";

/**
 * Saves an adapter folder, whole or not at all; one already there is replaced. Equal adapters give equal bytes.
 *
 * @throws SpielError "numeric" when a value is not finite, "storage" when the disk fails.
 */
export async function saveAdapter(
  files: Files,
  folder: string,
  { config, tensors }: Pick<EncodedAdapter, "config" | "tensors">,
): Promise<void> {
  const path = resolve(folder);
  const inspect = (name: string, elements: Uint8Array, first: number) => {
    const index = indexOfNonFinite(tensors.get(name)?.dtype ?? "", elements);
    if (index < 0) return;
    throw new SpielError("numeric", `"${name}": the value in slot ${first + index} is not finite`);
  };
  try {
    await publishFolder(files, dirname(path), basename(path), [
      { name: CONFIG_NAME, content: () => new TextEncoder().encode(canonicalJson(config)) },
      {
        name: WEIGHTS_NAME,
        content: () => safetensorsContent(tensors, { metadata: { format: "pt" }, inspect }),
      },
    ]);
  } catch (error) {
    throw storageError(`Cannot save adapter "${folder}"`, error);
  }
}
