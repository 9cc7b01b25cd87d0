/** Which files of a data set belong to a split: as its README.md says, or else as the files are named. */

import { SpielError } from "../errors.ts";
import { isObject } from "../io/random_access.ts";
import { suggest } from "../suggest.ts";
import { globPattern } from "./glob.ts";
import type { HubFile } from "./listing.ts";
import { type HubName, hubNameText } from "./name.ts";

/** Kinds of files that hold examples, by the end of their names. */
const READABLE = /\.(?:jsonl|ndjson|json|csv|tsv|parquet)(?:\.gz)?$/i;
const EXPECTED = "expected JSONL, JSON, CSV, TSV or Parquet";
/** Files that are about the data. */
const ABOUT =
  /(?:^|\/)(?:README\.md|LICEN[CS]E[^/]*|dataset_infos?\.json|[^/]*config\.json|\.[^/]*)$|^\.|\/\./i;
/** Where the hub keeps a copy of every data set in Parquet: `configuration/split/0000.parquet`. */
const CONVERTED = /^([^/]+)\/([^/]+)\/\d+\.parquet$/;

/** The words by which a split is known in the names of files and folders. */
const SPLIT_WORDS: readonly (readonly [split: string, words: string])[] = [
  ["train", "train|training"],
  ["validation", "validation|valid|val|dev"],
  ["test", "test|testing|eval|evaluation"],
];

const SHOWN = 12;

/** The splits of one configuration: files by split. */
type Splits = ReadonlyMap<string, readonly HubFile[]>;

/**
 * Chooses the files of the split that a name means: `train` unless it names one, and the configuration that there is.
 *
 * @param readme The parsed front matter of README.md; null without one.
 * @throws {SpielError} `data` where nothing is read, or there is no telling which of several is meant.
 */
export function chooseData(name: HubName, files: readonly HubFile[], readme: unknown): HubFile[] {
  const configs = configsOf(files, readme);
  const { config, split } = meantBy(name, configs);
  const found = split.filter(({ path }) => READABLE.test(path));
  const other = split.find(({ path }) => !READABLE.test(path));
  const repo = hubNameText(name);
  if (found.length > 0 && other === undefined) return withAllShards(repo, found);
  const kind = other === undefined ? "no files" : `"${other.path}"`;
  throw new SpielError("data", `"${repo}" has ${kind} in ${config}; ${EXPECTED}${hint(name)}`);
}

function configsOf(files: readonly HubFile[], readme: unknown): Map<string, Splits> {
  const told = configsOfReadme(files, readme);
  if (told.size > 0) return told;
  const data = files.filter(({ path }) => !ABOUT.test(path));
  if (data.length > 0 && data.every(({ path }) => CONVERTED.test(path))) {
    const configs = new Map<string, Map<string, HubFile[]>>();
    for (const file of data) {
      const [, config = "", split = ""] = CONVERTED.exec(file.path) ?? [];
      const splits = configs.get(config) ?? new Map<string, HubFile[]>();
      splits.set(split, [...splits.get(split) ?? [], file]);
      configs.set(config, splits);
    }
    return configs;
  }
  return new Map([["default", splitsByName(data)]]);
}

/** What `configs` in README.md says. */
function configsOfReadme(files: readonly HubFile[], readme: unknown): Map<string, Splits> {
  const configs = new Map<string, Splits>();
  const told = isObject(readme) && Array.isArray(readme.configs) ? readme.configs : [];
  for (const config of told.filter(isObject)) {
    const { config_name: name = "default", data_files: patterns, data_dir: folder = "" } = config;
    const inFolder = typeof folder === "string" && folder !== "" ? `${folder}/` : "";
    const inside = files.filter(({ path }) => path.startsWith(inFolder) && !ABOUT.test(path));
    const splits = patterns === undefined
      ? splitsByName(inside)
      : splitsByPattern(inside, patterns, inFolder);
    // A configuration that is the default stands first.
    const entry = [String(name), splits] as const;
    if (config.default === true) {
      const others = [...configs];
      configs.clear();
      for (const [key, value] of [["", splits] as const, entry, ...others]) configs.set(key, value);
    } else configs.set(...entry);
  }
  return configs;
}

function splitsByPattern(files: readonly HubFile[], told: unknown, folder: string): Splits {
  const matching = (patterns: unknown) => {
    const all = [patterns].flat().map((one) => globPattern(folder + String(one)));
    return files.filter(({ path }) => all.some((pattern) => pattern.test(path)));
  };
  if (typeof told === "string") return new Map([["train", matching(told)]]);
  if (!Array.isArray(told)) {
    return new Map(Object.entries(told ?? {}).map(([split, paths]) => [split, matching(paths)]));
  }
  if (!told.some(isObject)) return new Map([["train", matching(told)]]);
  return new Map(told.filter(isObject).map(({ split, path }) => [String(split), matching(path)]));
}

/** Splits by the words in the names of files, else of folders; all is `train` where there are none. */
function splitsByName(files: readonly HubFile[]): Splits {
  const splits = new Map<string, HubFile[]>();
  for (const file of files.filter(({ path }) => READABLE.test(path))) {
    const split = splitOf(file.path);
    if (split !== undefined) splits.set(split, [...splits.get(split) ?? [], file]);
  }
  if (splits.size > 0) return splits;
  const readable = files.filter(({ path }) => READABLE.test(path));
  return new Map([["train", readable.length > 0 ? readable : files]]);
}

function splitOf(path: string): string | undefined {
  const sharded = /(?:^|\/)data\/(\w+)-\d{5}-of-\d{5}[^/]*\.[^/]+$/.exec(path)?.[1];
  if (sharded !== undefined) return sharded;
  for (const part of [path.split("/").at(-1) ?? "", path]) {
    const found = SPLIT_WORDS.find(([, words]) =>
      new RegExp(`(?:^|[-._ 0-9/])(?:${words})(?:[-._ 0-9/]|$)`, "i").test(part)
    );
    if (found !== undefined) return found[0];
  }
  return undefined;
}

/** Finds the configuration and the split of `CONFIG`, `SPLIT` or `CONFIG/SPLIT`. */
function meantBy(
  name: HubName,
  configs: ReadonlyMap<string, Splits>,
): { config: string; split: readonly HubFile[] } {
  const { part } = name;
  const names = [...configs.keys()].filter((config) => config !== "");
  const standard = configs.has("")
    ? ""
    : names.length === 1
    ? names[0]
    : names.find((one) => one === "default");
  const [first = "", second] = part?.split("/") ?? [];
  const isSplit = standard !== undefined && configs.get(standard)?.has(first);
  const config = second !== undefined || (part !== undefined && !isSplit && configs.has(first))
    ? first
    : standard;
  const splits = config === undefined ? undefined : configs.get(config);
  if (config === undefined || splits === undefined) {
    if (
      part === undefined || second !== undefined || configs.values().some((one) => one.has(first))
    ) {
      throw new SpielError(
        "data",
        `"${hubNameText(name)}" has several configurations; name one, such as ` +
          `"${
            hubNameText(name, [names[0], second ?? (part && first)].filter(Boolean).join("/"))
          }": ` +
          `there are ${shown(names)}`,
      );
    }
  }
  const known = [...splits?.keys() ?? []];
  const named = config === first && part !== undefined ? second : part;
  const wanted = named ??
    (known.includes("train") ? "train" : known.length === 1 ? known[0] : undefined);
  const split = wanted === undefined ? undefined : splits?.get(wanted);
  if (split !== undefined) return { config: `split "${wanted}"`, split };
  const repo = hubNameText(name, null);
  if (wanted === undefined) {
    throw new SpielError("data", `"${repo}" has no split "train"; name one of ${shown(known)}`);
  }
  const all = [...known, ...names.length > 1 ? names : []];
  const meant = suggest(wanted, all);
  throw new SpielError(
    "data",
    `"${repo}" has no split "${wanted}"; ` +
      (meant === undefined
        ? `there are ${shown(all)}`
        : `did you mean "${hubNameText(name, meant)}"?`),
  );
}

/** Refuses a part of a split whose files are numbered, as an unfinished download of another program leaves it. */
function withAllShards(repo: string, files: readonly HubFile[]): HubFile[] {
  const groups = Map.groupBy(files, ({ path }) => path.replace(/-\d{5}-of-(\d{5})/, "-of-$1"));
  for (const [key, shards] of groups) {
    const of = Number(/-of-(\d{5})/.exec(key)?.[1] ?? shards.length);
    if (of !== shards.length) {
      throw new SpielError(
        "data",
        `"${repo}" has ${shards.length} of ${of} files like "${shards[0]?.path}"`,
      );
    }
  }
  return files.toSorted((a, b) => a.path < b.path ? -1 : 1);
}

function shown(names: readonly string[]): string {
  return names.slice(0, SHOWN).join(", ") + (names.length > SHOWN ? " …" : "");
}

function hint(name: HubName): string {
  const { part: _, ...whole } = name;
  const converted = hubNameText({ ...whole, revision: "refs/convert/parquet" });
  return `; the hub has most data sets in Parquet too, as ${converted}`;
}
