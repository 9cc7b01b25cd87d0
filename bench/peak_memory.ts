/** The most memory that a measuring process has held, the engine's included. */

import { peakMemory as peakOfUsage } from "../src/engine/peak_memory.ts";

/**
 * Peak resident bytes; `null` where the system does not tell.
 *
 * On Linux `getrusage` begins with the peak of the process that started this one, but `VmHWM` counts this one alone.
 * To read that, Deno wants all permissions.
 */
export function peakMemory(): number | null {
  if (Deno.build.os !== "linux") return peakOfUsage();
  return highWaterMark(Deno.readTextFileSync("/proc/self/status")) ?? peakOfUsage();
}

/** Bytes of the `VmHWM` of such a `status`; `null` where the kernel does not tell it. */
export function highWaterMark(status: string): number | null {
  const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
  return kibibytes === undefined ? null : 1024 * Number(kibibytes);
}
