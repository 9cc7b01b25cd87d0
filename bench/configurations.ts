/** What the bench measures: a table of workloads, each on a form of the base. */

import type { QuantizedFormat } from "../src/model/load.ts";
import type { Budget } from "../src/spiel/budget.ts";

/** Forms of a base: as its file stores it, and derived from that, its layers and embedding in one type. */
export const BASES = ["stored", "bf16", "f32"] as const;

/** A form of the base. */
export type Base = typeof BASES[number];

/** Steps of training. */
export interface Training {
  readonly task: "train";
  /** `full` trains every weight. */
  readonly method: "spiel-ag" | "spiel-ma" | "full";
  /** How many deltas; ignored by `full`. */
  readonly budget: Budget;
  /** Whether the steps are a selection window's later ones, which accumulate at the candidates. */
  readonly window: boolean;
  readonly checkpointing: "none" | "block";
  readonly sequences: number;
  /** Tokens of a sequence. */
  readonly length: number;
}

/** The loss of a batch. */
export interface Forward {
  readonly task: "forward";
  readonly sequences: number;
  readonly length: number;
}

/** Greedy generation of one sequence. */
export interface Decoding {
  readonly task: "decode";
}

/** What one process measures. */
export interface Configuration {
  /** Its parts joined by `/`, such as `spiel-ag-1%-window/4x256/stored`. */
  readonly name: string;
  readonly base: Base;
  /** What its layers are quantised to while they are loaded, if anything. */
  readonly quantize?: QuantizedFormat;
  readonly workload: Training | Forward | Decoding;
}

/** Sequences, and tokens of each. */
type Shape = readonly [number, number];

const SHAPES: readonly Shape[] = [[4, 256], [1, 512], [1, 2048]];

type Method = Pick<Training, "method" | "budget" | "window" | "checkpointing">;

const AG: Method = {
  method: "spiel-ag",
  budget: { density: 0.01 },
  ...{ window: false, checkpointing: "none" },
};

const METHODS = {
  "spiel-ag-1%": AG,
  "spiel-ag-1%-window": { ...AG, window: true },
  "spiel-ag-2.4%": { ...AG, budget: { density: 0.024 } },
  "spiel-ag-2.4%-window": { ...AG, budget: { density: 0.024 }, window: true },
  "spiel-ma-1%": { ...AG, method: "spiel-ma" },
} satisfies Record<string, Method>;

function training(name: string, method: Method, [sequences, length]: Shape, base: Base) {
  const workload: Training = { task: "train", ...method, sequences, length };
  return { name: `${name}/${sequences}x${length}/${base}`, base, workload };
}

function forward([sequences, length]: Shape, base: Base): Configuration {
  const workload: Forward = { task: "forward", sequences, length };
  return { name: `forward/${sequences}x${length}/${base}`, base, workload };
}

/**
 * What a step costs by density, by length at equal tokens (1x2048 is above), without stored activations, and on layers
 * that are quantised.
 */
const SWEEPS: readonly Configuration[] = [
  training("spiel-ag-0.1%", { ...AG, budget: { density: 0.001 } }, [4, 256], "stored"),
  training("spiel-ag-5%", { ...AG, budget: { density: 0.05 } }, [4, 256], "stored"),
  training("spiel-ag-1%", AG, [8, 256], "stored"),
  training("spiel-ag-1%-block", { ...AG, checkpointing: "block" }, [4, 256], "stored"),
  ...(["q8_0", "nf4"] as const).map((quantize) => ({
    ...training("spiel-ag-1%", AG, [4, 256], "bf16"),
    name: `spiel-ag-1%/4x256/${quantize}`,
    quantize,
  })),
];

/** Every configuration, those of one base and shape beside each other. */
export const CONFIGURATIONS: readonly Configuration[] = [
  ...BASES.flatMap((base) => [
    ...SHAPES.flatMap((shape) => [
      ...Object.entries(METHODS).map(([name, method]) => training(name, method, shape, base)),
      forward(shape, base),
    ]),
    { name: `decode/${base}`, base, workload: { task: "decode" } } as const,
  ]),
  ...SWEEPS,
];

/**
 * The configurations whose names have all parts of one of the patterns, such as `4x256/f32`; all of them without any.
 *
 * @throws {RangeError} when a pattern fits none.
 */
export function selected(patterns: readonly string[]): readonly Configuration[] {
  const fits = (pattern: string) => ({ name }: Configuration) =>
    pattern.split("/").every((part) => name.split("/").includes(part));
  for (const pattern of patterns) {
    if (CONFIGURATIONS.some(fits(pattern))) continue;
    const parts = [...new Set(CONFIGURATIONS.flatMap(({ name }) => name.split("/")))];
    throw new RangeError(
      `--only ${pattern} fits no configuration; expected parts out of ${parts.join(", ")}, ` +
        "joined by /",
    );
  }
  return patterns.length === 0
    ? CONFIGURATIONS
    : CONFIGURATIONS.filter((configuration) =>
      patterns.some((pattern) => fits(pattern)(configuration))
    );
}
