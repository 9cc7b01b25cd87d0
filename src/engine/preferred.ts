/** An engine on the device that was asked for, or where none was, on the CPU once the GPU that was taken does not do. */

import type { Engine, OpenInfo } from "./engine.ts";
import { deviceFailure } from "./failure.ts";
import { open, type OpenOptions } from "./open.ts";

/** Opens an engine, as `open` does. */
export type Opener = (options: OpenOptions) => Promise<Engine>;

/** Who hears of an opening. */
export interface PreferredHooks {
  /** Told of every engine that is opened, and awaited. */
  readonly onOpened?: (info: OpenInfo) => void | Promise<void>;
  /** Told in a sentence why the CPU stands in for a GPU, or of more threads than cores, and awaited. */
  readonly onWarning: (message: string) => void | Promise<void>;
  /** What opens engines, unless a test says otherwise. */
  readonly open?: Opener | undefined;
}

/** An engine that changes its device at most once, and only before anything is computed on it. */
export class PreferredEngine implements AsyncDisposable {
  readonly #options: OpenOptions;
  readonly #hooks: PreferredHooks;
  #engine: Engine;

  private constructor(options: OpenOptions, hooks: PreferredHooks, engine: Engine) {
    this.#options = options;
    this.#hooks = hooks;
    this.#engine = engine;
  }

  /**
   * Opens the engine.
   *
   * @throws {SpielError} What `open` throws.
   */
  static async open(options: OpenOptions, hooks: PreferredHooks): Promise<PreferredEngine> {
    const engine = await (hooks.open ?? open)(options);
    const preferred = new PreferredEngine(options, hooks, engine);
    try {
      await preferred.#tellOpened(engine.info);
      return preferred;
    } catch (error) {
      await engine.close();
      throw error;
    }
  }

  /**
   * Does what must succeed before anything is computed. A GPU that nobody asked for and that fails at it, or that cannot do
   * it, is given up for the CPU, where the same is done from the start.
   *
   * @param work Plans, allocates or loads with the engine it is given; it may be called twice.
   * @throws {SpielError} What `work` throws, where a device was asked for or the failure is none of a device.
   */
  async attempt<Result>(work: (engine: Engine) => Promise<Result>): Promise<Result> {
    try {
      return await work(this.#engine);
    } catch (error) {
      const reason = this.#mayGiveUp ? deviceFailure(error) : null;
      if (reason === null) throw error;
      await this.#giveUp(reason);
    }
    return await work(this.#engine);
  }

  /** Whether the device is a GPU that nobody asked for. */
  get #mayGiveUp(): boolean {
    const { device = "auto", gpu } = this.#options;
    return device === "auto" && gpu === undefined && this.#engine.info.device === "gpu";
  }

  async #giveUp(reason: string): Promise<void> {
    const { adapter } = this.#engine.info;
    await this.#hooks.onWarning(
      `GPU "${adapter}" does not do: ${reason}; --device auto goes on with the CPU instead`,
    );
    await this.#engine.close();
    this.#engine = await (this.#hooks.open ?? open)({ ...this.#options, device: "cpu" });
    await this.#tellOpened({ ...this.#engine.info, deviceReason: `in place of "${adapter}"` });
  }

  async #tellOpened(info: OpenInfo): Promise<void> {
    const { onOpened, onWarning } = this.#hooks;
    await onOpened?.(info);
    const crowded = crowdedWarning(info, navigator.hardwareConcurrency);
    if (crowded !== null) await onWarning(crowded);
  }

  /** Closes the engine. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#engine.close();
  }
}

/** The warning of more threads than cores to run them; null where there are enough. */
export function crowdedWarning(
  { device, threads }: Pick<OpenInfo, "device" | "threads">,
  cores: number,
): string | null {
  if (device !== "cpu" || threads <= cores) return null;
  const there = cores === 1 ? "one core that is" : `${cores} cores that are`;
  return `--threads ${threads} is more than the ${there} there, which is slower and gives the same results`;
}
