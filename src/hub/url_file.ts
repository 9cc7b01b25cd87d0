/** Data files of the web as local paths: from the cache where they are unchanged, else downloaded into it. */

import { createHash } from "node:crypto";
import { basename, join } from "node:path";
import { isSpielError, SpielError } from "../errors.ts";
import { cacheFolder } from "../io/cache_folder.ts";
import { storageError } from "../io/files.ts";
import { isFile, readJsonObject } from "../io/random_access.ts";
import { publishFile } from "../io/publish.ts";
import { shownUrl } from "../io/web_address.ts";
import { systemClock } from "./clock.ts";
import { denoDisk } from "./disk.ts";
import type { DownloadProgress } from "./fetch_files.ts";
import type { Downloaded, HubUse } from "./hub.ts";
import { takeLock } from "./lock.ts";
import { DEFAULT_RETRY_POLICY } from "./retry.ts";
import { hubSettings } from "./settings.ts";
import { type Noted, UrlDownload, type UrlParts } from "./url_download.ts";

/**
 * Brings a file of the web into the cache.
 *
 * @throws {SpielError} `data` where there is no such file, `interrupted` when it cannot be had now, `environment` for a
 * missing permission, or offline where it is not cached; `storage` when the disk fails.
 */
export async function downloadUrl(url: URL, use: HubUse = {}): Promise<Downloaded> {
  const { hub = {}, signal, onDownload } = use;
  const { settings = hubSettings(), clock = systemClock, disk = denoDisk } = hub;
  const policy = hub.policy ?? DEFAULT_RETRY_POLICY;
  const urls = join(hub.settings?.cache ?? cacheFolder(), "urls");
  const folder = join(urls, folderName(url));
  const path = join(folder, fileName(url));
  const name = shownUrl(url);
  const downloaded = ({ etag, bytes }: Noted) => ({ commit: etag, paths: [path], bytes, name });
  if (use.offline || settings.offline) {
    const note = notedIn(folder, path);
    if (note !== null) return downloaded(note);
    throw new SpielError(
      "environment",
      `"${name}" is not in the cache ("${folder}"), and offline nothing is downloaded`,
    );
  }
  const tell = (progress: Pick<DownloadProgress, "bytes" | "totalBytes" | "waiting">) =>
    onDownload?.({ name, files: 0, totalFiles: 1, ...progress });
  let note: Noted | null = null;
  try {
    const locks = join(urls, ".locks");
    for (const needed of [folder, locks]) await disk.makeFolder(needed);
    const waiting = "another program downloads it";
    const nothing = { files: 0, totalFiles: 0, bytes: 0, totalBytes: 0 };
    const onWaiting = () => onDownload?.({ name, ...nothing, waiting });
    const lock = await takeLock(join(locks, basename(folder)), { disk, clock, signal, onWaiting });
    try {
      note = notedIn(folder, path);
      const parts: UrlParts = {
        url,
        name,
        path,
        note,
        settings,
        clock,
        policy,
        signal,
        disk,
        tell,
      };
      const found = await new UrlDownload(parts).run();
      if (found !== note) {
        const text = JSON.stringify({ url: name, ...found });
        await publishFile(disk, notePath(folder), new TextEncoder().encode(text));
      }
      return downloaded(found);
    } finally {
      lock.release();
    }
  } catch (error) {
    if (!isSpielError(error)) throw storageError(`Cannot save "${name}" in "${folder}"`, error);
    if (error.kind !== "interrupted" || note === null || signal?.aborted) throw error;
    await use.onWarning?.(`${error.message.split(";")[0]}; what is in the cache of it is taken`);
    return downloaded(note);
  }
}

/** What is noted of the file in a folder; null where it is not there as a whole. */
function notedIn(folder: string, path: string): Noted | null {
  if (!isFile(path) || !isFile(notePath(folder))) return null;
  return noteOf(readJsonObject(notePath(folder)));
}

function notePath(folder: string): string {
  return join(folder, "about.json");
}

function noteOf({ etag, bytes }: Record<string, unknown>): Noted | null {
  if (!Number.isSafeInteger(bytes)) return null;
  return { etag: typeof etag === "string" ? etag : null, bytes: bytes as number };
}

function folderName(url: URL): string {
  return createHash("sha256").update(url.href).digest("hex").slice(0, 32);
}

/** Its own name, by which its kind may be known. */
function fileName({ pathname }: URL): string {
  return basename(pathname).replaceAll(/[^\w.-]/g, "_").replace(/^\.+/, "") || "data";
}
