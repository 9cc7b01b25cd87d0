/** Streams a model's tensors into an engine in bounded parts: one is read while the one before it is written. */

import type { Engine } from "../engine/engine.ts";
import type { TensorInfo } from "../engine/protocol.gen.ts";
import { isSpielError, SpielError } from "../errors.ts";
import { formatInfo } from "./formats.ts";
import type { ModelSource } from "./source.ts";
import { streamChanged, type TensorChanges } from "./tensor_changes.ts";
import { PART_BYTES } from "./tensor_parts.ts";

/** Tensors on their way into an engine. */
export class WeightStream {
  /** One to read into while the engine copies from the other. */
  readonly #buffers = [new Uint8Array(PART_BYTES), new Uint8Array(PART_BYTES)] as const;
  #parts = 0;
  /** The part under way. */
  #sent: Promise<void> = Promise.resolve();

  constructor(
    readonly engine: Engine,
    readonly source: ModelSource,
    readonly changes: TensorChanges | undefined,
  ) {}

  /**
   * Sends a tensor, changed or converted where that is planned. Its last part may still be under way then.
   *
   * @throws {SpielError} `data` when the files lack it, or it cannot be converted.
   */
  async send(tensor: TensorInfo): Promise<void> {
    const { engine, source } = this;
    const { name, format } = tensor;
    const stored = source.tensors.get(name);
    if (stored === undefined) throw new SpielError("data", `${source.path} lacks "${name}"`);
    const change = this.changes?.of.get(name);
    if (change !== undefined) return await streamChanged(engine, source, tensor, stored, change);
    const from = formatInfo(engine, stored.format, name);
    const to = formatInfo(engine, format, name);
    const write = async (bytes: Uint8Array, offset: number) => {
      const elements = bytes.length / from.blockBytes * from.blockElements;
      const first = offset / from.blockBytes * from.blockElements;
      const written = format === stored.format
        ? bytes
        : await engine.convert(bytes, stored.format, format, elements).catch((error) => {
          throw namingTensor(error, source.path, name);
        });
      await engine.writeTensor(name, first / to.blockElements * to.blockBytes, written);
    };
    // Whole blocks of both formats, so that a part can be converted by itself.
    const blocks = Math.floor(PART_BYTES / from.blockBytes / to.blockElements) * to.blockElements;
    const most = blocks * from.blockBytes;
    for (let offset = 0; offset < stored.byteLength; offset += most) {
      const buffer = this.#buffers[this.#parts++ % 2];
      const length = Math.min(most, stored.byteLength - offset);
      const bytes = source.read(name, offset, length, buffer);
      await this.#sent;
      this.#sent = write(bytes, offset);
      // Told where it is waited for, even if a read fails before that.
      this.#sent.catch(() => {});
    }
    if (format === "nf4" && stored.format !== "nf4") {
      await this.#sent;
      await engine.quantizeScales(name);
    }
  }

  /** Waits for the last part, and gives the buffers back now: nothing else is collected before the steps take memory. */
  async end(): Promise<void> {
    await this.#sent;
    for (const { buffer } of this.#buffers) buffer.transfer(0);
  }
}

/** A refusal of weights with the tensor that they are of. */
function namingTensor(error: unknown, path: string, name: string): unknown {
  return isSpielError(error) && error.kind === "data"
    ? new SpielError("data", `${path}: tensor "${name}": ${error.message}`, { cause: error })
    : error;
}
