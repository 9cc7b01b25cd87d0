/** Which files of a repository make a model: safetensors with their configuration, or one GGUF. Never pickles, never code. */

import { SpielError } from "../errors.ts";
import { suggest } from "../suggest.ts";
import type { HubFile } from "./listing.ts";
import { type HubName, hubNameText } from "./name.ts";

/** What a folder of safetensors has besides its weights. */
const COMPANIONS: ReadonlySet<string> = new Set([
  "config.json",
  "generation_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "tokenizer.model",
  "special_tokens_map.json",
  "added_tokens.json",
  "vocab.json",
  "merges.txt",
  "chat_template.jinja",
  "chat_template.json",
  "model.safetensors.index.json",
]);

const SINGLE = "model.safetensors";
/** Lists the shards of a model. */
export const SHARD_INDEX = "model.safetensors.index.json";
const PICKLE = /\.(?:bin|pt|pth|ckpt|pkl)$/;
const SHOWN = 12;

/** What is to be had. */
export type ModelChoice =
  | { readonly form: "safetensors"; readonly companions: readonly HubFile[] }
  | { readonly form: "gguf"; readonly files: readonly HubFile[] };

/**
 * Chooses.
 *
 * @throws {SpielError} `data` where there is nothing that is read, or no telling which of several is meant.
 */
export function chooseModel(name: HubName, files: readonly HubFile[]): ModelChoice {
  const groups = ggufGroups(files);
  const atRoot = new Set(files.map(({ path }) => path));
  const isComplete = atRoot.has("config.json") && (atRoot.has(SINGLE) || atRoot.has(SHARD_INDEX));
  if (name.part === undefined && isComplete) {
    return { form: "safetensors", companions: files.filter(({ path }) => COMPANIONS.has(path)) };
  }
  if (groups.size > 0) return { form: "gguf", files: chooseGguf(name, groups) };
  const repo = hubNameText(name, null);
  if (name.part !== undefined) {
    throw new SpielError("data", `"${hubNameText(name)}": ${repo} has no GGUF file; name it alone`);
  }
  throw new SpielError("data", `"${repo}" ${whyNoModel(files)}`);
}

/**
 * The weights of a folder of safetensors.
 *
 * @param shards Names that its index tells; null where there is none.
 */
export function weightsOf(
  name: HubName,
  files: readonly HubFile[],
  shards: readonly string[] | null,
): HubFile[] {
  const single = files.find(({ path }) => path === SINGLE);
  if (single !== undefined) return [single];
  return (shards ?? []).map((shard) => {
    const file = files.find(({ path }) => path === shard);
    if (file !== undefined && /^[\w-][\w.-]*\.safetensors$/.test(shard)) return file;
    const repo = hubNameText(name);
    throw new SpielError("data", `"${repo}" has no "${shard}", which its ${SHARD_INDEX} names`);
  });
}

/** GGUF files by the name of the model in them; one may be split over several. Projectors of images are no models. */
function ggufGroups(files: readonly HubFile[]): Map<string, HubFile[]> {
  const groups = new Map<string, HubFile[]>();
  for (const file of files.toSorted((a, b) => a.path < b.path ? -1 : 1)) {
    const { path } = file;
    const base = path.split("/").at(-1) ?? "";
    if (!/\.gguf$/i.test(path) || /^(?:mmproj|imatrix)|\.imatrix\./i.test(base)) continue;
    const key = path.replace(/-\d{5}-of-\d{5}(?=\.gguf$)/i, "");
    groups.set(key, [...groups.get(key) ?? [], file]);
  }
  return groups;
}

function chooseGguf(name: HubName, groups: ReadonlyMap<string, HubFile[]>): HubFile[] {
  const { part } = name;
  const keys = [...groups.keys()];
  const found = part === undefined ? keys : keys.filter((key) => isMeant(key, part));
  const [first] = found;
  if (first !== undefined && found.length === 1) return wholeGroup(name, groups.get(first) ?? []);
  const repo = hubNameText(name, null);
  const parts = keys.map(quantisationOf);
  const shown = parts.slice(0, SHOWN).join(", ") + (parts.length > SHOWN ? " …" : "");
  if (found.length === 0) {
    const meant = suggest(part ?? "", parts);
    const hint = meant === undefined
      ? `it has ${shown}`
      : `did you mean "${hubNameText(name, meant)}"?`;
    throw new SpielError("data", `"${repo}" has no GGUF file "${part}"; ${hint}`);
  }
  const [example = ""] = found.map(quantisationOf);
  throw new SpielError(
    "data",
    `"${hubNameText(name)}" is one of several GGUF files; name one, such as ` +
      `"${hubNameText(name, example)}": there are ${shown}`,
  );
}

function isMeant(key: string, part: string): boolean {
  const [path, wanted] = [key.toLowerCase(), part.toLowerCase()];
  if (path === wanted || path.endsWith(`/${wanted}`)) return true;
  return quantisationOf(key).toLowerCase() === wanted ||
    path.replace(/\.gguf$/, "").split(/[./]|-(?=i?q\d|[bf]f?\d)/).includes(wanted);
}

/** What a GGUF file is called after its model, such as `Q4_K_M`; its whole name where it has no such end. */
function quantisationOf(key: string): string {
  const base = key.split("/").at(-1) ?? key;
  return /(?:^|[-._])((?:UD-)?(?:I?Q\d\w*|BF16|F16|F32|FP16|MXFP4\w*))\.gguf$/i.exec(base)?.[1] ??
    base;
}

function wholeGroup(name: HubName, files: readonly HubFile[]): HubFile[] {
  const of = /-of-(\d{5})\.gguf$/i.exec(files[0]?.path ?? "")?.[1];
  if (of === undefined || Number(of) === files.length) return [...files];
  const text = hubNameText(name);
  throw new SpielError(
    "data",
    `"${text}" has ${files.length} of the ${Number(of)} parts of its GGUF`,
  );
}

function whyNoModel(files: readonly HubFile[]): string {
  const pickle = files.find(({ path }) => PICKLE.test(path))?.path;
  const expected = "expected safetensors with config.json, or a GGUF file";
  if (files.some(({ path }) => path === "adapter_config.json")) {
    return `holds an adapter; ${expected}`;
  }
  if (pickle !== undefined) {
    return `has its weights as "${pickle}" only, a pickle, which may run any code when it is read; ${expected}`;
  }
  const first = files[0] === undefined ? "nothing" : `"${files[0].path}" …`;
  return `holds no model (${first}); ${expected}`;
}
