/** The local path of a model that is named by a path or as the hub names it. */

import { downloadData, type Downloaded, downloadModel, type HubUse } from "../hub/hub.ts";
import { hubNameOf, localModel } from "../hub/local_names.ts";
import { downloadUrl } from "../hub/url_file.ts";
import { urlOf } from "../io/web_address.ts";
import { readHuggingFaceConfig } from "./hf_config.ts";

/**
 * Downloads the model where it is one of the hub's; its configuration is checked before its weights are asked for.
 *
 * @throws {SpielError} as `downloadModel` does; `data` too for a configuration that is not supported.
 */
export async function localModelPath(name: string, use: HubUse): Promise<string> {
  return await localModel(name, use, readHuggingFaceConfig);
}

/**
 * Downloads what a name stands for: `org/name` is a model of the hub, `hf:org/name` a data set, and an address of the
 * web a file of data.
 *
 * @returns Null for a path.
 * @throws {SpielError} as `localModelPath` does.
 */
export async function downloadNamed(name: string, use: HubUse): Promise<Downloaded | null> {
  const url = urlOf(name);
  if (url !== null) return await downloadUrl(url, use);
  const hub = hubNameOf(name);
  if (hub === null) return null;
  return hub.kind === "dataset"
    ? await downloadData(hub, use)
    : await downloadModel(hub, use, readHuggingFaceConfig);
}
