/** A folder with a tiny model that has a tokenizer and chat template, and data for it. */

import { tokenizerFiles } from "../../src/data/tokenizer.ts";
import type { ModelConfig } from "../../src/engine/protocol.gen.ts";
import { byteTokenizer } from "../support/byte_tokenizer.ts";
import { tinyConfig, tinyWeights, writeTinyFolder } from "../support/tiny_model.ts";

/** A folder that is removed with all that tests put into it. */
export class TinyFolder implements Disposable {
  readonly path: string = Deno.makeTempDirSync();
  /** The model's folder. */
  readonly model: string = this.at("model");
  /** Training data of 16 examples, prompt and completion. */
  readonly data: string = this.at("train.jsonl");

  constructor() {
    this.makeModel("model");
    const rows = Array.from(
      { length: 16 },
      (_, n) => ({ prompt: `say ${n}`, completion: `it is ${n}` }),
    );
    this.write("train.jsonl", rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  }

  /** A path in the folder. */
  at(name: string): string {
    return `${this.path}/${name}`;
  }

  /** Writes a file and returns its path. */
  write(name: string, content: string | Uint8Array): string {
    if (typeof content === "string") Deno.writeTextFileSync(this.at(name), content);
    else Deno.writeFileSync(this.at(name), content);
    return this.at(name);
  }

  /** Makes a model's folder; `changes` are to the configuration. */
  makeModel(folder: string, changes: Partial<ModelConfig> = {}): string {
    const tokenizer = byteTokenizer();
    const config = { ...tinyConfig("llama"), vocab_size: tokenizer.vocabSize, ...changes };
    writeTinyFolder(this.at(folder), "llama", config, tinyWeights(config));
    for (const [name, text] of tokenizerFiles(tokenizer)) this.write(`${folder}/${name}`, text);
    return this.at(folder);
  }

  /** A copy of the model's folder, to be damaged. */
  copyModel(name: string): string {
    Deno.mkdirSync(this.at(name));
    for (const { name: file } of Deno.readDirSync(this.model)) {
      Deno.copyFileSync(`${this.model}/${file}`, this.at(`${name}/${file}`));
    }
    return this.at(name);
  }

  /** Arguments of a short run into `out` on the WASM engine, which every machine has. */
  trainArgs(out: string, ...more: string[]): string[] {
    return [
      ...["train", "--model", this.model, "--data", this.data, "--out", this.at(out)],
      ...["--host", "wasm", "--max-steps", "6", "--max-length", "64", "--micro-batch-tokens", "64"],
      ...["--density", "0.05", "--reselection-steps", "3", "--selection-accumulation-steps", "1"],
      ...more,
    ];
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}
