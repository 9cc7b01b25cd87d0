/** Runs an engine in the WASM module that is committed in lib/. Needs no permission, from a file or from a URL. */

import { SpielError } from "../errors.ts";
import { checkVersion, type Message, type Transport } from "./transport.ts";

const REMEDY = 'run "deno task build:wasm"';

/**
 * Loads the module, once per process, and makes one engine in it.
 *
 * @throws {SpielError} `environment` when the module does not load or was built from another protocol.
 */
export async function openWasm(): Promise<{ transport: Transport; version: string }> {
  let module: typeof import("../../lib/spiel_engine.js");
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
  const engine = new module.WasmEngine();
  const transport: Transport = {
    async call(header: string, payload: Uint8Array): Promise<Message> {
      const reply = await engine.call(header, payload);
      try {
        return { header: reply.header, payload: reply.payload as Uint8Array<ArrayBuffer> };
      } finally {
        reply.free();
      }
    },
    close: () => engine.free(),
  };
  return { transport, version };
}
