/** Turns names of models and data into local paths: `hf:` is the hub, and of other names what exists here wins. */

import { basename, dirname } from "node:path";
import { SpielError } from "../errors.ts";
import type { DataPath } from "../io/named_file.ts";
import { isFolder } from "../io/random_access.ts";
import { kindOfPath } from "../io/recognise.ts";
import { urlOf } from "../io/web_address.ts";
import { suggest } from "../suggest.ts";
import { downloadData, downloadModel, type HubUse, namedFilesOf } from "./hub.ts";
import { HUB_PREFIX, type HubName, looksLikeRepository, parseHubName } from "./name.ts";
import { downloadUrl } from "./url_file.ts";

/**
 * The repository that a name of a model stands for; null for a path.
 *
 * @throws {SpielError} `data` for a name that may be a mistyped path, `usage` for one that cannot be.
 */
export function hubModelOf(name: string): HubName | null {
  if (name.startsWith(HUB_PREFIX)) return parseHubName("model", name);
  if (!looksLikeRepository(name) || kindOfPath(name) !== "nothing") return null;
  const folder = dirname(name);
  if (!isFolder(folder)) return parseHubName("model", name);
  const meant = suggest(basename(name), [...Deno.readDirSync(folder)].map((entry) => entry.name));
  const path = meant === undefined ? "" : `; did you mean "${folder}/${meant}"?`;
  throw new SpielError(
    "data",
    `"${name}" is not in the folder "${folder}"${path}${path === "" ? "; " : " "}` +
      `The hub's repository of that name is "${HUB_PREFIX}${name}"`,
  );
}

/** The data set of the hub that a name stands for; null for a path. */
export function hubDataOf(name: string): HubName | null {
  return name.startsWith(HUB_PREFIX) ? parseHubName("dataset", name) : null;
}

/** What a name stands for where either may be meant: `org/name` is a model of the hub, `hf:org/name` a data set; null for a path. */
export function hubNameOf(name: string): HubName | null {
  return hubDataOf(name) ?? hubModelOf(name);
}

/**
 * The local path of a model, downloaded where it is one of the hub's.
 *
 * @param checkConfig As of `downloadModel`.
 */
export async function localModel(
  name: string,
  use: HubUse,
  checkConfig?: (path: string) => void,
): Promise<string> {
  const hub = hubModelOf(name);
  if (hub === null) return name;
  const { paths: [path = name] } = await downloadModel(hub, use, checkConfig);
  return path;
}

/**
 * The local files of data, in order; a data set of the hub may be several, and an address of the web is one, which keeps
 * its address for a name.
 */
export async function localData(names: readonly string[], use: HubUse): Promise<DataPath[]> {
  const paths: DataPath[] = [];
  for (const name of names) {
    const [hub, url] = [hubDataOf(name), urlOf(name)];
    if (hub !== null) paths.push(...namedFilesOf(await downloadData(hub, use)));
    else if (url !== null) paths.push(...namedFilesOf(await downloadUrl(url, use)));
    else paths.push(name);
  }
  return paths;
}
