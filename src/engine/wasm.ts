/** Runs an engine in the WASM module that is committed in lib/. Needs no permission, from a file or from a URL. */

import { SpielError } from "../errors.ts";
import type { Reply } from "./protocol.gen.ts";
import { checkVersion, type Message, type Transport } from "./transport.ts";
import { EngineWorkers } from "./wasm_workers.ts";

const REMEDY = 'run "deno task build:wasm"';

type WasmModule = typeof import("../../lib/spiel_engine.js");

/**
 * Loads the module, once per process, and makes one engine in it.
 *
 * @throws {SpielError} `environment` when the module does not load or was built from another protocol.
 */
export async function openWasm(): Promise<{ transport: Transport; version: string }> {
  let module: WasmModule;
  try {
    module = await import("../../lib/spiel_engine.js");
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SpielError(
      "environment",
      `The WASM engine cannot be loaded (${reason}): ${REMEDY}`,
      { cause },
    );
  }
  const version = checkVersion(module.version(), "The WASM engine in lib/", REMEDY);
  return { transport: new WasmTransport(module), version };
}

const EMPTY = new Uint8Array(0);

/** Milliseconds of calls after which the event loop has a turn: signals and timers wait for one. */
const TURN_MS = 50;

/** Drives each call itself, so that a trap comes out of its own frames and can be caught. */
class WasmTransport implements Transport {
  readonly #workers = new EngineWorkers();
  readonly #engine: InstanceType<WasmModule["WasmEngine"]>;
  /** Whether a call has trapped: the module's engine is in an unknown state from then on. */
  #trapped = false;
  #lastTurn = performance.now();

  constructor(readonly module: WasmModule) {
    this.#engine = new module.WasmEngine(this.#workers);
  }

  async call(header: string, payload: Uint8Array): Promise<Message> {
    if (this.#trapped) return failure("The engine failed before and takes no more requests");
    try {
      if (!this.#engine.start(header, payload)) return failure("The engine is busy");
      let reply = this.#engine.poll();
      while (reply === undefined) {
        await this.#workers.wait(this.#engine.woken());
        reply = this.#engine.poll();
      }
      await this.#giveTurn();
      try {
        return { header: reply.header, payload: reply.takePayload() as Uint8Array<ArrayBuffer> };
      } finally {
        reply.free();
      }
    } catch (trap) {
      this.#trapped = true;
      return this.#causeOf(trap);
    }
  }

  /** Lets the event loop run: promises alone, of which calls are made, never let it. */
  async #giveTurn(): Promise<void> {
    if (performance.now() - this.#lastTurn < TURN_MS) return;
    await new Promise((resolve) => setTimeout(resolve, 0));
    this.#lastTurn = performance.now();
  }

  /** What the module kept of a trap's cause, which the trap itself does not tell. */
  #causeOf(trap: unknown): Message {
    const reason = trap instanceof Error ? trap.message : String(trap);
    const unknown = failure(`The engine failed: ${reason}`);
    try {
      const header = this.module.takeFailure();
      return header === undefined ? unknown : { header, payload: EMPTY };
    } catch {
      return unknown;
    }
  }

  close(): void {
    // What a trap interrupted is still borrowed, and stays with the module.
    if (!this.#trapped) this.#engine.free();
  }
}

function failure(message: string): Message {
  const reply: Reply = { kind: "error", code: "internal", message };
  return { header: JSON.stringify(reply), payload: EMPTY };
}
