/** Presents a golden model folder with one of its spellings of config.json. */

import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Runs `use` on a temporary folder that holds `spelling` as config.json beside the model's weights. */
export async function withConfigSpelling(
  folder: string,
  spelling: string,
  use: (modelFolder: string) => Promise<void>,
): Promise<void> {
  const temporary = mkdtempSync(join(tmpdir(), "spiel-config-"));
  try {
    copyFileSync(join(folder, spelling), join(temporary, "config.json"));
    copyFileSync(join(folder, "model.safetensors"), join(temporary, "model.safetensors"));
    await use(temporary);
  } finally {
    rmSync(temporary, { recursive: true });
  }
}
