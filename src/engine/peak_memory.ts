/** The most memory that this process has held, the engine's included. */

import process from "node:process";

/**
 * Peak resident bytes; `null` where the system does not tell. Asks for no permission. Memory of a GPU is not in it.
 */
export function peakMemory(): number | null {
  const { maxRSS } = process.resourceUsage();
  if (maxRSS <= 0) return null;
  // KiB, but for some versions of Deno on macOS, which give bytes: then it is not far below what is held now.
  return 2 * maxRSS >= Deno.memoryUsage().rss ? maxRSS : maxRSS * 1024;
}
