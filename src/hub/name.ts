/** Names of the hub's repositories as they are typed: `org/name[@revision][:part]`, with or without `hf:` before it. */

import { SpielError } from "../errors.ts";

/** What a repository holds. */
export type RepoKind = "model" | "dataset";

/** A repository, and what of it is meant. */
export interface HubName {
  /** Model and data set may have the same name. */
  readonly kind: RepoKind;
  /** Such as `HuggingFaceTB/SmolLM2-135M`. */
  readonly repo: string;
  /** A branch, a tag or a commit; `main` unless said. */
  readonly revision: string;
  /** A GGUF file or its quantisation, or a split of a data set; absent where nothing was said. */
  readonly part?: string;
}

/** What a name begins with that can be nothing else. */
export const HUB_PREFIX = "hf:";

/** The branch that is meant where none is named. */
export const DEFAULT_REVISION = "main";

const FORM = /^([^@:]+)(?:@([^:]+))?(?::(.+))?$/;
const SEGMENT = /^\w(?:[\w.-]*\w)?$/;
const MAX_REPO_LENGTH = 96;
const COMMIT = /^[0-9a-f]{40}$/;
/** Two segments and no end that a file has. */
const BARE = /^\w[\w.-]*\/\w[\w.-]*(?:@[^\s:]+)?(?::\S+)?$/;
const FILE_END = /\.(?:gguf|safetensors|bin|pt|pth|jsonl?|csv|tsv|parquet|gz|zip|txt|ya?ml)$/i;

const EXPECTED: Readonly<Record<RepoKind, string>> = {
  model: "org/name[@revision][:GGUF]",
  dataset: "hf:org/name[@revision][:split]",
};

/** Whether a text has the form of a repository's name without `hf:`, as a relative path of two segments has too. */
export function looksLikeRepository(text: string): boolean {
  return BARE.test(text) && !FILE_END.test(text);
}

/** Whether a revision is a commit, whose content never changes. */
export function isCommit(revision: string): boolean {
  return COMMIT.test(revision);
}

/**
 * Reads a name.
 *
 * @throws {SpielError} `usage` for one that the hub cannot have.
 */
export function parseHubName(kind: RepoKind, text: string): HubName {
  const bare = text.startsWith(HUB_PREFIX) ? text.slice(HUB_PREFIX.length) : text;
  const fail = (reason: string) =>
    new SpielError("usage", `"${text}" ${reason}; expected ${EXPECTED[kind]}`);
  const [, repo, revision = DEFAULT_REVISION, part] = FORM.exec(bare) ?? [];
  if (repo === undefined) throw fail("names no repository");
  const segments = repo.split("/");
  if (segments.length > 2) throw fail(`names "${repo}", which has more than two segments`);
  const wrong = segments.find((segment) => !SEGMENT.test(segment));
  if (wrong !== undefined) {
    throw fail(`has "${wrong}" where letters, digits, "-", "_" and "." can stand`);
  }
  if (/--|\.\.|\.git$/.test(repo) || repo.length > MAX_REPO_LENGTH) {
    throw fail(`names "${repo}", which no repository of the hub can be called`);
  }
  if (!isSafePath(revision)) throw fail(`has "${revision}" for a revision`);
  return { kind, repo, revision, ...(part === undefined ? {} : { part }) };
}

/**
 * A name as it is typed.
 *
 * @param part Stands in for its own part; null for none.
 */
export function hubNameText(name: HubName, part: string | null = name.part ?? null): string {
  const { kind, repo, revision } = name;
  const prefix = kind === "dataset" || !repo.includes("/") ? HUB_PREFIX : "";
  const at = revision === DEFAULT_REVISION ? "" : `@${revision}`;
  return `${prefix}${repo}${at}${part === null ? "" : `:${part}`}`;
}

/** Whether a relative path with `/` stays in its folder on every system. */
export function isSafePath(path: string): boolean {
  return /^[^\p{Cc}\\:*?"<>|]+$/u.test(path) &&
    path.split("/").every((segment) => segment !== "" && segment !== "." && segment !== "..");
}

const NAMED_MODEL = /^(?:hf:([\w.-]+(?:\/[\w.-]+)?)|(\w[\w.-]*\/[\w.-]+))(?:[@:]\S*)?$/;

/** What other programs know a model by: the repository alone of a name of the hub, and a path as it is. Looks at no file. */
export function modelNameForOthers(name: string): string {
  const [, explicit, bare] = NAMED_MODEL.exec(name) ?? [];
  return explicit ?? bare ?? name;
}
