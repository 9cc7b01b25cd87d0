/** The most memory this process has held. */

import { readFileSync } from "node:fs";

/** Peak resident bytes; `null` where the system does not tell. */
export function peakBytes(): number | null {
  try {
    const [, kibibytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))!;
    return Number(kibibytes) * 1024;
  } catch {
    return null;
  }
}
