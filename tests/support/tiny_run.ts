/** A folder with a tiny model, its tokenizer and data, and runs of it on any host and device. */

import { tokenizerFiles } from "../../src/data/tokenizer.ts";
import { runConfig, type RunOptions } from "../../src/train/run_config.ts";
import { type RunHooks, trainRun, type TrainSummary } from "../../src/train/run.ts";
import type { TrainEvent } from "../../src/train/events.ts";
import { byteTokenizer } from "./byte_tokenizer.ts";
import type { HostedDevice } from "./hosts.ts";
import { makeTempDir } from "./temp_dir.ts";
import { tinyConfig, tinyWeights, writeTinyFolder } from "./tiny_model.ts";

/** Learnable at once: the answer repeats a letter of the question. */
const EXAMPLES = Array.from({ length: 14 }, (_, n) => {
  const letter = String.fromCharCode(97 + n % 5);
  return { prompt: `${n} ${letter}?`, completion: letter.repeat(3 + n % 4) };
});

/** The first of them, asked in other words. */
const HELD_OUT = EXAMPLES.slice(0, 5).map((example) => ({
  ...example,
  prompt: example.prompt.replace("?", "!"),
}));

/** Removes all that it holds when disposed. */
export class TinyRun implements Disposable {
  readonly path: string = makeTempDir();
  readonly model: string = `${this.path}/model`;
  readonly data: string = `${this.path}/train.jsonl`;
  readonly heldOut: string = `${this.path}/held_out.jsonl`;

  constructor() {
    const tokenizer = byteTokenizer();
    const config = { ...tinyConfig("llama"), vocab_size: tokenizer.vocabSize };
    const weights = tinyWeights(config);
    // Small enough for a loss near that of chance at the start, so that training can lower it.
    for (const [name, { data }] of weights) {
      if (data instanceof Float32Array && !name.includes("norm")) {
        data.forEach((x, i) => data[i] = x / 4);
      }
      if (data instanceof Float32Array && name.includes("norm")) data.fill(1);
    }
    writeTinyFolder(this.model, "llama", config, weights);
    for (const [name, text] of tokenizerFiles(tokenizer)) {
      Deno.writeTextFileSync(`${this.model}/${name}`, text);
    }
    const lines = (rows: unknown[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join("");
    Deno.writeTextFileSync(this.data, lines(EXAMPLES));
    Deno.writeTextFileSync(this.heldOut, lines(HELD_OUT));
  }

  /** A run's folder. */
  out(name: string): string {
    return `${this.path}/${name}`;
  }

  /** Trains into `out`; 12 steps of 2 micro-batches, which pass over the data more than once. */
  async train(
    place: Pick<HostedDevice, "host" | "device">,
    out: string,
    options: Partial<RunOptions> = {},
    hooks: RunHooks = {},
  ): Promise<{ summary: TrainSummary; events: TrainEvent[] }> {
    const resolved = runConfig({
      model: this.model,
      data: [this.data],
      evalData: [this.heldOut],
      out: this.out(out),
      host: place.host,
      device: place.device,
      allowSoftware: place.device === "gpu",
      numDeltas: 2000,
      lr: 0.02,
      maxSteps: 12,
      maxLength: 48,
      microBatchTokens: 96,
      gradientAccumulationSteps: 2,
      reselectionSteps: 4,
      selectionAccumulationSteps: 2,
      evalEvery: 4,
      saveEvery: 3,
      ...options,
    });
    const events: TrainEvent[] = [];
    const summary = await trainRun(resolved, {
      ...hooks,
      onEvent: async (event) => {
        events.push(event);
        await hooks.onEvent?.(event);
      },
    });
    return { summary, events };
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

/** Every file under a folder with its bytes, by path. */
export function filesUnder(folder: string, prefix = ""): Map<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    const path = `${folder}/${name}`;
    const inside = isDirectory
      ? filesUnder(path, `${prefix}${name}/`)
      : [[prefix + name, Deno.readFileSync(path)] as const];
    for (const [key, bytes] of inside) found.set(key, bytes);
  }
  return new Map([...found].sort(([a], [b]) => a < b ? -1 : 1));
}
