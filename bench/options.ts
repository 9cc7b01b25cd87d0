/** The bench's command line. */

import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Configuration, selected } from "./configurations.ts";
import { count, oneOf, optionalCount } from "./flags.ts";
import { HOSTS, type MeasureRequest } from "./measurement.ts";

/** The model of the figures in docs/results.md. */
const MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf";

/** What products by weights may round to on a CPU. */
const PRECISIONS = ["auto", "f32", "bf16"] as const;

/** What to measure, and how often. */
export interface BenchOptions extends Omit<MeasureRequest, "configuration"> {
  readonly configurations: readonly Configuration[];
  readonly rounds: number;
  /** Only name the configurations. */
  readonly list: boolean;
}

/**
 * Reads a command line.
 *
 * @param models A folder with the model of that name, for a command line that names none.
 * @throws {RangeError | TypeError} with a sentence on what is wrong.
 */
export function benchOptions(args: readonly string[], models: string | undefined): BenchOptions {
  const { values: flags } = parseArgs({
    args: [...args],
    options: {
      model: { type: "string" },
      only: { type: "string", multiple: true, default: [] },
      rounds: { type: "string", default: "1" },
      steps: { type: "string", default: "3" },
      host: { type: "string", default: "auto" },
      threads: { type: "string" },
      precision: { type: "string", default: "f32" },
      list: { type: "boolean", default: false },
    },
  });
  const model = flags.model ?? (models === undefined ? undefined : join(models, MODEL));
  if (model === undefined && !flags.list) {
    throw new RangeError(
      `Expected --model, or a folder with ${MODEL} in SPIEL_MODELS; ` +
        "for a first look try --model examples/demo/model",
    );
  }
  return {
    configurations: selected(flags.only),
    model: model ?? "",
    rounds: count("--rounds", flags.rounds),
    steps: count("--steps", flags.steps),
    host: oneOf("--host", flags.host, HOSTS),
    threads: optionalCount("--threads", flags.threads),
    precision: oneOf("--precision", flags.precision, PRECISIONS),
    list: flags.list,
  };
}
