/** What a repository holds at one commit, as the hub tells it. */

import { SpielError } from "../errors.ts";
import { isObject } from "../io/random_access.ts";
import { type Answer, type HubHttp, request } from "./http.ts";
import { type HubName, hubNameText, isCommit, isSafePath } from "./name.ts";
import { refusalOf } from "./refusals.ts";
import { type Retrying, Temporary, withRetries } from "./retry.ts";

/** What a file's content is known by; also its name among the blobs. */
export interface ContentId {
  /** SHA-256 of the content, or SHA-1 of a git blob, as small files have. */
  readonly algorithm: "sha256" | "git-sha1";
  /** Lower-case hex. */
  readonly hex: string;
}

/** A file of a repository. */
export interface HubFile {
  /** From the root, with `/`. */
  readonly path: string;
  /** Length in bytes. */
  readonly size: number;
  /** Unknown of what another program has cached. */
  readonly id: ContentId | null;
}

/** A repository at one commit. */
export interface Listing {
  readonly commit: string;
  readonly files: readonly HubFile[];
}

/** How to ask. */
export type Asking = HubHttp & Retrying;

const MAX_JSON_BYTES = 64 << 20;
/** The hub lists a thousand files a page. */
const MAX_PAGES = 1000;

/** The commit that a revision is at now. */
export async function commitOf(name: HubName, asking: Asking): Promise<string> {
  const url = `${api(name, asking)}/revision/${encodeURIComponent(name.revision)}`;
  const { json } = await askJson(url, name, asking);
  const sha = isObject(json) ? json.sha : undefined;
  if (typeof sha === "string" && isCommit(sha)) return sha;
  throw notTheHub(asking, `the commit of ${hubNameText(name)}`);
}

/** All files of a commit. */
export async function filesOf(
  name: HubName,
  commit: string,
  asking: Asking,
): Promise<HubFile[]> {
  const files: HubFile[] = [];
  let url: string | undefined = `${api(name, asking)}/tree/${commit}?recursive=true`;
  for (let page = 0; url !== undefined && page < MAX_PAGES; page++) {
    const { json, headers } = await askJson(url, name, asking);
    if (!Array.isArray(json)) throw notTheHub(asking, `the files of ${hubNameText(name)}`);
    for (const entry of json) {
      const file = fileOf(entry);
      if (file === undefined) throw notTheHub(asking, `the files of ${hubNameText(name)}`);
      if (file !== null) files.push(file);
    }
    url = nextPage(headers, url);
  }
  return files;
}

/** The address of a file's content. */
export function contentUrl(name: HubName, commit: string, path: string, endpoint: string): string {
  const prefix = name.kind === "dataset" ? "datasets/" : "";
  const escaped = path.split("/").map(encodeURIComponent).join("/");
  return `${endpoint}/${prefix}${name.repo}/resolve/${commit}/${escaped}`;
}

function api({ kind, repo }: HubName, { settings }: Asking): string {
  return `${settings.endpoint}/api/${kind}s/${repo}`;
}

/** One entry of a tree; null for a folder, undefined for what no hub says. */
function fileOf(entry: unknown): HubFile | null | undefined {
  if (!isObject(entry)) return undefined;
  const { type, path, size, oid, lfs } = entry;
  if (type !== "file") return null;
  if (typeof path !== "string" || !isSafePath(path)) return undefined;
  const sha256 = isObject(lfs) ? lfs.oid : undefined;
  const length = isObject(lfs) ? lfs.size : size;
  if (!Number.isSafeInteger(length) || (length as number) < 0) return undefined;
  const id = contentIdOf(sha256 ?? oid);
  return id === null ? undefined : { path, size: length as number, id };
}

/** A content's name by its length: 64 hex digits are a SHA-256, 40 a git blob; null for anything else. */
export function contentIdOf(hex: unknown): ContentId | null {
  if (typeof hex !== "string" || !/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(hex)) return null;
  return { algorithm: hex.length === 64 ? "sha256" : "git-sha1", hex };
}

function nextPage(headers: Headers, from: string): string | undefined {
  const [, link] = /<([^>]+)>\s*;\s*rel="?next"?/.exec(headers.get("link") ?? "") ?? [];
  return link === undefined ? undefined : URL.parse(link, from)?.href;
}

async function askJson(
  url: string,
  name: HubName,
  asking: Asking,
): Promise<{ json: unknown; headers: Headers }> {
  const doing = `list ${hubNameText(name)}`;
  return await withRetries(doing, asking, async () => {
    await using answer = await request(asking, doing, url);
    if (answer.status !== 200) {
      throw refusalOf(answer, name, asking.settings, doing, asking.clock.now());
    }
    const text = await textOf(answer, doing);
    try {
      return { json: JSON.parse(text), headers: answer.headers };
    } catch {
      // Cut off, or the page of a network that wants a login first.
      throw new Temporary(`${answer.host} answered with no JSON`);
    }
  });
}

async function textOf(answer: Answer, doing: string): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const part of answer.body()) {
    text += decoder.decode(part, { stream: true });
    if (text.length > MAX_JSON_BYTES) {
      throw new SpielError("data", `Cannot ${doing}: ${answer.host} answers without an end`);
    }
  }
  return text + decoder.decode();
}

function notTheHub({ settings }: Asking, what: string): SpielError {
  return new SpielError(
    "data",
    `${settings.endpoint} does not tell ${what} as the hub does; see HF_ENDPOINT`,
  );
}
