/** How much memory an engine can take on this machine. */

import process from "node:process";
import type { OpenInfo } from "./engine.ts";

/** All that 32-bit addresses reach. */
const WASM_BYTES = 2 ** 32;

/**
 * Bytes that an engine on the CPU can take without this process being killed: what is free, the limit of the container
 * counted in, and at most 4 GiB in WASM. Asks for no permission.
 *
 * @returns `null` where it is not known: without `--allow-sys=systemMemoryInfo`, and of a GPU's memory.
 */
export function availableMemory(
  { host, device }: Pick<OpenInfo, "host" | "device">,
): number | null {
  if (device !== "cpu") return null;
  const limits = host === "wasm" ? [WASM_BYTES] : [];
  const { state } = Deno.permissions.querySync({ name: "sys", kind: "systemMemoryInfo" });
  if (state === "granted") {
    limits.push(Deno.systemMemoryInfo().available, process.constrainedMemory());
  }
  return limits.length === 0 ? null : Math.min(...limits);
}
