/** A run that is to go on but is over: all that there is to do is to say so. */

import { join } from "node:path";
import { loadAdapter } from "../adapter/load.ts";
import { checkpointsFolder, listCheckpoints } from "../checkpoint/folder.ts";
import { isSpielError } from "../errors.ts";
import { type Files, isNotFound, storageError } from "../io/files.ts";
import { openModelSource } from "../model/source.ts";
import type { RunEnding } from "./events.ts";
import { type Scores, scoresIn } from "./journal.ts";
import { type DoneMetrics, type MetricsEvent, parseMetrics } from "./metrics.ts";
import type { RecordedRun } from "./recorded_run.ts";
import type { RunConfig } from "./run_config.ts";

/** What a finished run came to. */
export interface FinishedRun extends RunEnding, Scores {
  readonly step: number;
  /** The folder of its result. */
  readonly output: string;
}

/**
 * What a run folder's run came to where nothing of it is left to do: its last line, its last checkpoint, its result and
 * its report are there, and the result is the one that is asked for and can be read. Null for every other.
 */
export async function finishedRun(
  files: Files,
  folder: RecordedRun,
  { method, result, resume }: RunConfig,
): Promise<FinishedRun | null> {
  if (!resume || folder.record?.result?.value !== result) return null;
  const metrics = await metricsOf(files, folder.metricsPath);
  const done = metrics.at(-1);
  if (done?.event !== "done") return null;
  const [output, content] = method === "full"
    ? [folder.modelPath, "config.json"]
    : [folder.adapterPath, "adapter_model.safetensors"];
  const { steps } = await listCheckpoints(files, checkpointsFolder(folder.path));
  const parts = [join(output, content), folder.reportPath];
  const missing = await Promise.all(parts.map(async (path) => await files.status(path) === null));
  if (steps[0] !== done.step || missing.includes(true)) return null;
  if (!isWhole(output, method)) return null;
  const evaluations = metrics.filter((line) => line.event === "eval");
  return { ...endingOf(done), output, ...scoresIn(evaluations, done.saved_step) };
}

/** Whether what a run made can be read. */
function isWhole(output: string, method: RunConfig["method"]): boolean {
  try {
    if (method === "full") openModelSource(output)[Symbol.dispose]();
    else loadAdapter(output);
    return true;
  } catch (error) {
    if (isSpielError(error)) return false;
    throw error;
  }
}

function endingOf(done: DoneMetrics): RunEnding & { step: number } {
  const { best_step: step, best_loss: loss } = done;
  return {
    step: done.step,
    stoppedEarly: done.stopped_early,
    savedStep: done.saved_step,
    best: step === null || loss === null ? null : { step, loss },
    elapsedS: done.elapsed_s,
    peakMemoryBytes: done.peak_memory_bytes,
  };
}

/** A run's lines; none where there is no file, or where a crash has left what is no line. */
async function metricsOf(files: Files, path: string): Promise<MetricsEvent[]> {
  try {
    return parseMetrics(new TextDecoder().decode(await files.read(path)), path);
  } catch (error) {
    if (isNotFound(error) || isSpielError(error)) return [];
    throw storageError(`Cannot read "${path}"`, error);
  }
}
