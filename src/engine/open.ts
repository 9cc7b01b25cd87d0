/** Chooses a host and opens an engine in it. The only file that knows the hosts. */

import { SpielError } from "../errors.ts";
import { type DeviceOptions, Engine, type Host } from "./engine.ts";
import { openNative } from "./native.ts";
import { findNativeLibrary } from "./native_library.ts";
import { openWasm } from "./wasm.ts";

/** What to open. */
export interface OpenOptions extends Partial<DeviceOptions> {
  /** `auto` takes the native library where it is built and FFI is permitted, else WASM. */
  host?: Host | "auto" | undefined;
  /** The native library's file; else `SPIEL_NATIVE_LIB`, else the clone's build folder. */
  nativeLibrary?: string | undefined;
}

/**
 * Opens an engine. Never prompts for a permission. An explicit host never falls back to the other, and an
 * explicit device, or GPU, never to the CPU.
 *
 * @param options Host, device, GPU, threads and library; all may be left out.
 * @returns The engine; its `info` tells what was opened and why.
 * @throws {SpielError} `environment` when the host is missing or stale, `device` when there is no such device.
 *
 * @example
 * ```ts
 * import { open } from "./mod.ts";
 *
 * await using engine = await open({ host: "wasm" });
 * const { host, device, reason } = engine.info;
 * ```
 */
export async function open(options: OpenOptions = {}): Promise<Engine> {
  const { host, reason, path } = chooseHost(options);
  const { transport, version } = path === undefined ? await openWasm() : openNative(path);
  const { device = "auto", threads, gpu, allowSoftware } = options;
  return await Engine.open(
    { transport, host, version, reason },
    { device, threads, gpu, allowSoftware },
  );
}

function chooseHost(
  { host = "auto", nativeLibrary }: OpenOptions,
): { host: Host; reason: string; path?: string } {
  if (host === "wasm") return { host, reason: "asked for" };
  const library = findNativeLibrary(nativeLibrary);
  if ("path" in library) {
    const reason = host === "native" ? "asked for" : `found ${library.path}`;
    return { host: "native", reason, path: library.path };
  }
  if (host === "native" || nativeLibrary !== undefined) {
    throw new SpielError("environment", `The native engine cannot be used: ${library.missing}`);
  }
  return { host: "wasm", reason: library.missing };
}
