/** Runs an engine in the native library through FFI. Calls are non-blocking: they compute in a thread of their own. */

import { basename } from "node:path";
import { SpielError } from "../errors.ts";
import { BUILD_REMEDY } from "./native_library.ts";
import { checkVersion, type Message, type Transport } from "./transport.ts";

const SYMBOLS = {
  spiel_version: { parameters: ["buffer", "usize"], result: "usize" },
  spiel_new: { parameters: [], result: "u64" },
  spiel_call: {
    parameters: ["u64", "buffer", "usize", "buffer", "usize", "buffer"],
    result: "i32",
    nonblocking: true,
  },
  spiel_reply: { parameters: ["u64", "buffer", "usize", "buffer", "usize"], result: "i32" },
  spiel_free: { parameters: ["u64"], result: "void" },
} as const;

const FAILURES: Readonly<Record<number, string>> = { 1: "unknown engine", 2: "engine is busy" };
/**
 * Loads the library and makes one engine in it.
 *
 * @param path The library's file.
 * @throws {SpielError} `environment` when the file does not load or was built from another protocol.
 */
export function openNative(path: string): { transport: Transport; version: string } {
  let library: Deno.DynamicLibrary<typeof SYMBOLS>;
  try {
    // A name without a folder would be looked for among the system's libraries.
    library = Deno.dlopen(basename(path) === path ? `./${path}` : path, SYMBOLS);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SpielError(
      "environment",
      `The native engine ${path} cannot be loaded (${reason}): ${BUILD_REMEDY}`,
      { cause },
    );
  }
  try {
    const out = new Uint8Array(1024);
    const length = Number(library.symbols.spiel_version(out, BigInt(out.length)));
    const text = new TextDecoder().decode(out.subarray(0, length));
    const version = checkVersion(text, `The native engine ${path}`, BUILD_REMEDY);
    const engine = library.symbols.spiel_new();
    if (engine === 0n) throw new SpielError("device", `The native engine ${path} did not start`);
    return { transport: new NativeTransport(library, engine), version };
  } catch (error) {
    library.close();
    throw error;
  }
}

class NativeTransport implements Transport {
  /** What the library's thread reads and writes during a call; held here so that it is not collected. */
  #inFlight: Uint8Array[] = [];

  constructor(
    readonly library: Deno.DynamicLibrary<typeof SYMBOLS>,
    readonly engine: bigint,
  ) {}

  async call(header: string, payload: Uint8Array): Promise<Message> {
    const request = new TextEncoder().encode(header);
    const sizes = new BigUint64Array(2);
    const sizeBytes = new Uint8Array(sizes.buffer);
    const body = payload as Uint8Array<ArrayBuffer>;
    this.#inFlight = [request, body, sizeBytes];
    const { spiel_call, spiel_reply } = this.library.symbols;
    const lengths = [BigInt(request.length), BigInt(body.length)] as const;
    try {
      check(await spiel_call(this.engine, request, lengths[0], body, lengths[1], sizeBytes));
    } finally {
      this.#inFlight = [];
    }
    const replyHeader = new Uint8Array(Number(sizes[0]));
    const reply = new Uint8Array(Number(sizes[1]));
    check(spiel_reply(this.engine, replyHeader, sizes[0] ?? 0n, reply, sizes[1] ?? 0n));
    return { header: new TextDecoder().decode(replyHeader), payload: reply };
  }

  close(): void {
    this.library.symbols.spiel_free(this.engine);
    this.library.close();
  }
}

function check(code: number): void {
  if (code === 0) return;
  const reason = FAILURES[code] ?? `code ${code}`;
  throw new SpielError("internal", `The native engine refused a call: ${reason}`);
}
