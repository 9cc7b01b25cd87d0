/** Numbers as people read them. */

/** A whole number with thousands set apart: `134,515,008`. */
export function formatCount(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

/** A number of things: `1 step`, `1,200 steps`. */
export function formatAmount(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** A time span: `4.2 s`, `42 s`, `3 m 20 s`, `2 h 05 m`. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "?";
  if (seconds < 9.95) return `${Math.max(0, seconds).toFixed(1)} s`;
  const whole = Math.round(seconds);
  const pad = (value: number) => String(value).padStart(2, "0");
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} m ${pad(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${pad(Math.floor((whole % 3600) / 60))} m`;
}

/** A loss or score, four decimals. */
export function formatLoss(loss: number): string {
  return loss.toFixed(4);
}

/** A perplexity: two decimals while it is of a size that says something. */
export function formatPerplexity(perplexity: number): string {
  return perplexity < 1e6 ? perplexity.toFixed(2) : perplexity.toExponential(1);
}

/** A share as a percentage: `1.00 %`. */
export function formatShare(share: number): string {
  return `${(100 * share).toFixed(2)} %`;
}

/** A rate that spans many magnitudes, such as a learning rate: `9.5e-4`. */
export function formatRate(rate: number): string {
  return rate === 0 ? "0" : rate.toExponential(1);
}

/** Text out of files, without what a terminal would take for commands. */
export function printable(text: string): string {
  return text.replaceAll(
    /(?![\n\t])\p{Cc}/gu,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}
