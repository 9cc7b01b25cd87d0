/** The folder of a run: made, locked for one run at a time, and where each thing in it lies. */

import { join } from "node:path";
import { SpielError } from "../errors.ts";
import { type FileLock, type Files, storageError } from "../io/files.ts";
import { makeFolderDurably, publishFile } from "../io/publish.ts";

const LOCK_NAME = "run.lock";

/** A value of the configuration and where it comes from. */
export interface ConfigValue {
  value: unknown;
  /** Such as "flag", "run.yaml:3" or "default". */
  origin: string;
}

/** An open run folder; disposing of it lets another run have it. */
export class RunFolder implements Disposable {
  readonly #files: Files;
  readonly #lock: FileLock;

  private constructor(files: Files, readonly path: string, lock: FileLock) {
    this.#files = files;
    this.#lock = lock;
  }

  /**
   * Makes the folder if need be and locks it.
   *
   * @param resume whether a run that is there already is to go on.
   * @throws SpielError "usage" when another run has the folder, when it is a file, or when it is not
   * empty and `resume` is false; "storage" when it cannot be made.
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
      await makeFolderDurably(files, path);
      const lock = await files.lock(join(path, LOCK_NAME));
      if (!lock) {
        throw new SpielError(
          "usage",
          `Run folder "${path}" is in use by another run; wait for its end or choose another --out`,
        );
      }
      try {
        if (!resume) await refuseUsed(files, path);
        return new RunFolder(files, path, lock);
      } catch (error) {
        lock.release();
        throw error;
      }
    } catch (error) {
      throw storageError(`Cannot open run folder "${path}"`, error);
    }
  }

  get configPath(): string {
    return join(this.path, "config.json");
  }

  get metricsPath(): string {
    return join(this.path, "metrics.jsonl");
  }

  get adapterPath(): string {
    return join(this.path, "adapter");
  }

  get reportPath(): string {
    return join(this.path, "report.html");
  }

  get profilePath(): string {
    return join(this.path, "profile.json");
  }

  /** Writes `config.json`: every key with its value and origin. @throws SpielError "storage". */
  async writeConfig(config: Readonly<Record<string, ConfigValue>>): Promise<void> {
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

  async #publish(path: string, text: string): Promise<void> {
    try {
      await publishFile(this.#files, path, new TextEncoder().encode(text));
    } catch (error) {
      throw storageError(`Cannot write "${path}"`, error);
    }
  }

  [Symbol.dispose](): void {
    this.#lock.release();
  }
}

async function refuseUsed(files: Files, path: string): Promise<void> {
  const names = (await files.list(path)).map(({ name }) => name).filter((name) =>
    name !== LOCK_NAME
  );
  if (names.length === 0) return;
  const isRun = names.includes("metrics.jsonl") || names.includes("checkpoints");
  throw new SpielError(
    "usage",
    isRun
      ? `Run folder "${path}" already holds a run; go on with it by --resume or choose another --out`
      : `Run folder "${path}" is not empty (${names[0]} …); choose another --out`,
  );
}
