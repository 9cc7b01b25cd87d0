/** A run as its folder has it: the values that it recorded, and where each thing of it lies. */

import { join } from "node:path";
import { SpielError } from "../errors.ts";
import { type Files, storageError } from "../io/files.ts";
import { TEMPORARY_PREFIX } from "../io/publish.ts";
import { isObject } from "../io/random_access.ts";

/** The name of the file by which one run at a time has the folder. */
export const LOCK_NAME = "run.lock";
const CONFIG_NAME = "config.json";

/** A value of the configuration and where it comes from. */
export interface ConfigValue {
  value: unknown;
  /** Such as "flag", "run.yaml:3" or "default". */
  origin: string;
}

/** The values that a run recorded, by key. */
export type ConfigRecord = Readonly<Record<string, Pick<ConfigValue, "value">>>;

/** The folder of a run that is there, or that is to be. */
export class RecordedRun {
  constructor(
    readonly path: string,
    /** What the run that is to go on recorded; `null` where there is none. */
    readonly record: ConfigRecord | null,
  ) {}

  /**
   * Looks at a folder and changes nothing in it.
   *
   * @throws SpielError "usage" when it is a file or holds other things than a run; "storage" when it cannot be read.
   */
  static async look(files: Files, path: string): Promise<RecordedRun> {
    try {
      return new RecordedRun(path, await recordOf(files, path));
    } catch (error) {
      throw storageError(`Cannot read run folder "${path}"`, error);
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
}

/**
 * What a run recorded in its folder; `null` where there is no folder, or nothing in it that would be lost.
 *
 * @throws SpielError "usage" when it is a file or holds other things than a run.
 */
export async function recordOf(files: Files, path: string): Promise<ConfigRecord | null> {
  const status = await files.status(path);
  if (status === null) return null;
  if (!status.isFolder) {
    throw new SpielError("usage", `Run folder "${path}" is a file; choose another --out`);
  }
  const names = (await files.list(path)).map(({ name }) => name);
  const [first] = names.filter((name) => name !== LOCK_NAME && !name.startsWith(TEMPORARY_PREFIX));
  if (first === undefined) return null;
  // A run's first trace: whatever holds other names but no such record is no run.
  const hasConfig = names.includes(CONFIG_NAME);
  const record = hasConfig ? recordIn(await files.read(join(path, CONFIG_NAME))) : null;
  if (record !== null) return record;
  const lack = hasConfig
    ? `its ${CONFIG_NAME} is not that of a run`
    : `has no ${CONFIG_NAME} of a run`;
  throw new SpielError(
    "usage",
    `Run folder "${path}" is not empty (${first} …) and ${lack}; choose another --out`,
  );
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
