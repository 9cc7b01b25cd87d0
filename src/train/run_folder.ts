/** The folder of a run: made, locked for one run at a time, and written to. */

import { dirname, join, resolve } from "node:path";
import { SpielError } from "../errors.ts";
import { type FileLock, type Files, storageError } from "../io/files.ts";
import { makeFolderDurably, publishFile } from "../io/publish.ts";
import { isWithin } from "../io/within.ts";
import {
  type ConfigRecord,
  type ConfigValue,
  LOCK_NAME,
  RecordedRun,
  recordOf,
} from "./recorded_run.ts";

/** An open run folder; disposing of it lets another run have it, and removes it where nothing came of the run. */
export class RunFolder extends RecordedRun implements AsyncDisposable {
  readonly #files: Files;
  readonly #lock: FileLock;
  /** Folders that were made for the run, innermost first. */
  readonly #made: readonly string[];
  /** Whether the folder holds a run, so that it stays. */
  #holdsRun: boolean;

  private constructor(
    files: Files,
    path: string,
    lock: FileLock,
    made: readonly string[],
    record: ConfigRecord | null,
  ) {
    super(path, record);
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
      // Before anything is put into it.
      await recordOf(files, path);
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
        const record = await recordOf(files, path);
        if (!resume && record !== null) throw alreadyThere(path);
        return new RunFolder(files, path, lock, made, record);
      } catch (error) {
        lock.release();
        throw error;
      }
    } catch (error) {
      throw storageError(`Cannot open run folder "${path}"`, error);
    }
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

function alreadyThere(path: string): SpielError {
  return new SpielError(
    "usage",
    `Run folder "${path}" already holds a run; go on with it by --resume or choose another --out`,
  );
}
