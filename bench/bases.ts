/** Forms of one base, derived where they are first asked for. */

import { join } from "node:path";
import type { Base } from "./configurations.ts";
import { dequantise } from "./dequantise.ts";

/** A model's forms, which lie in a temporary folder of their own. */
export class Bases implements AsyncDisposable {
  readonly #folder = Deno.makeTempDirSync({ prefix: "spiel_bench_" });
  readonly #derived = new Map<Base, Promise<string>>();

  /** @param model A folder or GGUF file. */
  constructor(private readonly model: string) {}

  /** The path of a form. */
  async path(base: Base): Promise<string> {
    if (base === "stored") return this.model;
    const made = this.#derived.get(base) ?? this.#derive(base);
    this.#derived.set(base, made);
    return await made;
  }

  async #derive(dtype: "f32" | "bf16"): Promise<string> {
    const folder = join(this.#folder, dtype);
    await dequantise(this.model, folder, dtype);
    return folder;
  }

  /** Removes what was derived. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#folder, { recursive: true });
  }
}
