/** Ways to fine-tune by PyTorch, each measured in a process of its own. */

import { MeasurementFailure } from "../measurement.ts";

/** Methods of `torch_step.py`: what trains all weights, and what PEFT adds. */
export const PEERS = ["full", "lora-r8", "lora-r64", "shira-r8", "supertuning-r8"] as const;

/** SpIEL as its authors wrote it, which needs their fork of PEFT. */
export const REFERENCE = "reference-r8";

/** Types of the base's weights. */
export const TORCH_TYPES = ["float32", "bfloat16"] as const;

/** The type of the base's weights. */
export type TorchType = typeof TORCH_TYPES[number];

/** What to measure. */
export interface TorchRequest {
  /** A Hugging Face folder. */
  readonly model: string;
  readonly method: typeof PEERS[number] | typeof REFERENCE;
  readonly dtype: TorchType;
  readonly sequences: number;
  /** Tokens of a sequence. */
  readonly length: number;
  readonly threads: number;
  /** Steps before those that are timed. */
  readonly warmup: number;
  readonly steps: number;
}

/** What came of it. */
export interface TorchMeasurement {
  /** Of Python, torch, transformers and peft. */
  readonly versions: Readonly<Record<string, string>>;
  readonly tokens_per_second: number;
  readonly peak_bytes: number;
  readonly [key: string]: unknown;
}

/** A method that the installed PEFT does not have. */
export interface TorchLacks {
  readonly missing: string;
  readonly [key: string]: unknown;
}

/**
 * Measures in a fresh process of that Python.
 *
 * @throws {MeasurementFailure} when that cannot be run or fails, with what it said last.
 */
export async function measureTorch(
  python: string,
  request: TorchRequest,
): Promise<TorchMeasurement | TorchLacks> {
  const script = decodeURIComponent(new URL("torch_step.py", import.meta.url).pathname);
  const command = new Deno.Command(python, {
    args: [script, JSON.stringify(request)],
    // Nothing is looked up; the folder has all.
    env: { HF_HUB_OFFLINE: "1" },
  });
  const { code, stdout, stderr } = await outputOf(python, command);
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  if (code !== 0) {
    throw new MeasurementFailure(`${request.method}: ${text(stderr).split("\n").at(-1)}`);
  }
  return JSON.parse(text(stdout).split("\n").at(-1)!);
}

async function outputOf(name: string, command: Deno.Command): Promise<Deno.CommandOutput> {
  try {
    return await command.output();
  } catch (error) {
    throw new MeasurementFailure(`${name} could not be run: ${(error as Error).message}`);
  }
}
