/** The folder of a run: made, locked for one run at a time, and where each thing in it lies. */

import { dirname, join, resolve } from "node:path";
import { SpielError } from "../errors.ts";
import { type FileLock, type Files, storageError } from "../io/files.ts";
import { makeFolderDurably, publishFile, TEMPORARY_PREFIX } from "../io/publish.ts";
import { isObject } from "../io/random_access.ts";
import { isWithin } from "../io/within.ts";

const LOCK_NAME = "run.lock";
const CONFIG_NAME = "config.json";

/** A value of the configuration and where it comes from. */
export interface ConfigValue {
  value: unknown;
  /** Such as "flag", "run.yaml:3" or "default". */
  origin: string;
}

/** An open run folder; disposing of it lets another run have it, and removes it where nothing came of the run. */
export class RunFolder implements AsyncDisposable {
  readonly #files: Files;
  readonly #lock: FileLock;
  /** Folders that were made for the run, innermost first. */
  readonly #made: readonly string[];
  /** Whether the folder holds a run, so that it stays. */
  #holdsRun: boolean;

  private constructor(
    files: Files,
    readonly path: string,
    lock: FileLock,
    made: readonly string[],
    /** What the run that is to go on recorded; `null` where there is none. */
    readonly record: ConfigRecord | null,
  ) {
    this.#files = files;
    this.#lock = lock;
    this.#made = made;
    this.#holdsRun = record !== null;
  }

  /**
   * Makes the folder if need be and locks it.
   *
   * @param resume whether a run that is there already is to go on.
   * @throws SpielError "usage" when another run has the folder, when it is a file, when it holds other things than a
   * run, or when it holds a run and `resume` is false; "storage" when it cannot be made.
   */
  static async open(
    files: Files,
    path: string,
    { resume }: { resume: boolean },
  ): Promise<RunFolder> {
    try {
      if ((await files.status(path))?.isFolder === false) {
        throw new SpielError("usage", `Run folder "${path}" is a file; choose another --out`);
      }
      // Before anything is put into it.
      refuseOther(path, await contentOf(files, path));
      const made = await missingFolders(files, resolve(path));
      await makeFolderDurably(files, path);
      const lock = await files.lock(join(path, LOCK_NAME));
      if (!lock) {
        throw new SpielError(
          "usage",
          `Run folder "${path}" is in use by another run; wait for its end or choose another --out`,
        );
      }
      try {
        const content = await contentOf(files, path);
        refuseOther(path, content);
        if (!resume) refuseRun(path, content);
        return new RunFolder(
          files,
          path,
          lock,
          made,
          content.kind === "run" ? content.record : null,
        );
      } catch (error) {
        lock.release();
        throw error;
      }
    } catch (error) {
      throw storageError(`Cannot open run folder "${path}"`, error);
    }
  }

  get configPath(): string {
    return join(this.path, CONFIG_NAME);
  }

  get metricsPath(): string {
    return join(this.path, "metrics.jsonl");
  }

  get adapterPath(): string {
    return join(this.path, "adapter");
  }

  /** Of the whole model, which method full saves instead of an adapter. */
  get modelPath(): string {
    return join(this.path, "model");
  }

  get reportPath(): string {
    return join(this.path, "report.html");
  }

  get profilePath(): string {
    return join(this.path, "profile.json");
  }

  get tracePath(): string {
    return join(this.path, "trace.json");
  }

  /**
   * Refuses inputs that the run's own output would replace.
   *
   * @param output The folder that the run ends with.
   * @param inputs Files and folders that the run is made from.
   * @throws SpielError "usage".
   */
  refuseInputsIn(output: string, inputs: readonly string[]): void {
    const lost = inputs.find((input) => isWithin(input, output));
    if (lost === undefined) return;
    throw new SpielError(
      "usage",
      `The run would replace "${lost}", which it is made from, by its result "${output}"; ` +
        "choose another --out",
    );
  }

  /** Writes `config.json`: every key with its value and origin. @throws SpielError "storage". */
  async writeConfig(config: Readonly<Record<string, ConfigValue>>): Promise<void> {
    this.#holdsRun = true;
    await this.#publish(this.configPath, JSON.stringify(config, null, 2) + "\n");
  }

  /** Writes `report.html`. @throws SpielError "storage". */
  async writeReport(html: string): Promise<void> {
    await this.#publish(this.reportPath, html);
  }

  /** Writes `profile.json`. @throws SpielError "storage". */
  async writeProfile(profile: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#publish(this.profilePath, JSON.stringify(profile, null, 2) + "\n");
  }

  /** Writes `trace.json`. @throws SpielError "storage". */
  async writeTrace(trace: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#publish(this.tracePath, JSON.stringify(trace) + "\n");
  }

  async #publish(path: string, text: string): Promise<void> {
    try {
      await publishFile(this.#files, path, new TextEncoder().encode(text));
    } catch (error) {
      throw storageError(`Cannot write "${path}"`, error);
    }
  }

  /** Lets go of the folder. What was made for a run of which nothing came is removed, unless the disk refuses. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      if (!this.#holdsRun) await this.#removeTraces();
    } catch {
      // Why the run ended is what matters.
    } finally {
      this.#lock.release();
    }
  }

  async #removeTraces(): Promise<void> {
    const names = (await this.#files.list(this.path)).map(({ name }) => name);
    if (names.join() !== LOCK_NAME) return;
    await this.#files.remove(join(this.path, LOCK_NAME));
    for (const folder of this.#made) await this.#files.removeFolder(folder);
  }
}

/** The folders on the way to a path that do not exist, innermost first, as far as they may be looked at. */
async function missingFolders(files: Files, path: string): Promise<string[]> {
  const missing: string[] = [];
  try {
    for (let at = path; await files.status(at) === null; at = dirname(at)) missing.push(at);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotCapable)) throw error;
  }
  return missing;
}

/** The values that a run recorded, by key. */
export type ConfigRecord = Readonly<Record<string, Pick<ConfigValue, "value">>>;

/** What a folder holds: nothing that would be lost, a run, or something else. */
type Content =
  | { kind: "nothing" }
  | { kind: "run"; record: ConfigRecord }
  | { kind: "other"; first: string; hasConfig: boolean };

/** A run's first trace is its `config.json`: whatever holds other names but no such record is no run. */
async function contentOf(files: Files, path: string): Promise<Content> {
  if (await files.status(path) === null) return { kind: "nothing" };
  const names = (await files.list(path)).map(({ name }) => name);
  const [first] = names.filter((name) => name !== LOCK_NAME && !name.startsWith(TEMPORARY_PREFIX));
  if (first === undefined) return { kind: "nothing" };
  const hasConfig = names.includes(CONFIG_NAME);
  const record = hasConfig ? recordIn(await files.read(join(path, CONFIG_NAME))) : null;
  return record === null ? { kind: "other", first, hasConfig } : { kind: "run", record };
}

/** A configuration as runs record it, which that of a model is not. */
function recordIn(content: Uint8Array): ConfigRecord | null {
  let record: unknown;
  try {
    record = JSON.parse(new TextDecoder().decode(content));
  } catch {
    return null;
  }
  if (!isObject(record)) return null;
  const entries = Object.values(record);
  const isRecord = entries.length > 0 &&
    entries.every((entry) => isObject(entry) && "value" in entry);
  return isRecord ? record as ConfigRecord : null;
}

function refuseOther(path: string, content: Content): void {
  if (content.kind !== "other") return;
  const { first, hasConfig } = content;
  const lack = hasConfig
    ? `its ${CONFIG_NAME} is not that of a run`
    : `has no ${CONFIG_NAME} of a run`;
  throw new SpielError(
    "usage",
    `Run folder "${path}" is not empty (${first} …) and ${lack}; choose another --out`,
  );
}

function refuseRun(path: string, content: Content): void {
  if (content.kind !== "run") return;
  throw new SpielError(
    "usage",
    `Run folder "${path}" already holds a run; go on with it by --resume or choose another --out`,
  );
}
