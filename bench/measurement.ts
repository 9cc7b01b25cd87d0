/** What the bench asks of a process of its own, and what that tells. */

import type { ModelUse } from "../src/model/load.ts";
import type { Configuration } from "./configurations.ts";

/** Where the engine may run. */
export const HOSTS = ["auto", "native", "wasm"] as const;

/** What to measure. */
export interface MeasureRequest {
  readonly configuration: Configuration;
  /** A folder or GGUF file, in the form that the configuration names. */
  readonly model: string;
  /** Timed runs after the warm-up. */
  readonly steps: number;
  readonly host: typeof HOSTS[number];
  /** All cores when absent. */
  readonly threads?: number | undefined;
  /** What is computed in. */
  readonly precision: ModelUse["precision"];
}

/** What came of it: medians, and the process's own peak memory before it was profiled. */
export interface Measurement extends Readonly<Record<string, unknown>> {
  readonly name: string;
  readonly step_seconds: number;
  /** Of the step that chooses a window's candidates. */
  readonly candidate_step_seconds?: number;
  readonly tokens_per_second: number;
  readonly peak_bytes: number | null;
}

/** A process that could not measure, and what it said. */
export class MeasurementFailure extends Error {}

/** Measures in a fresh process. @throws {MeasurementFailure} when that fails. */
export async function measureAlone(request: MeasureRequest): Promise<Measurement> {
  const script = new URL("measure.ts", import.meta.url).href;
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    // Without all permissions its peak memory would be told with that of this process.
    args: ["run", "--allow-all", script, JSON.stringify(request)],
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  if (code !== 0) {
    throw new MeasurementFailure(`${request.configuration.name}: ${text(stderr)}`);
  }
  return JSON.parse(text(stdout));
}

/** The same; `null` where it fails, which is told, and then the exit code of this process. */
export function measureOrTell(request: MeasureRequest): Promise<Measurement | null> {
  return orTold(measureAlone(request));
}

/** What is measured; `null` where that fails, which is told, and then the exit code of this process. */
export async function orTold<T>(measured: Promise<T>): Promise<T | null> {
  try {
    return await measured;
  } catch (error) {
    if (!(error instanceof MeasurementFailure)) throw error;
    console.error(error.message);
    Deno.exitCode = 1;
    return null;
  }
}
