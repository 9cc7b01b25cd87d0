/** What people see while something comes from the hub. */

import { type DownloadProgress, formatBytes, type HubUse } from "../mod.ts";
import { formatAmount, formatDuration } from "./format.ts";
import type { Ui } from "./ui.ts";

/** Between two lines where there is no status line. */
const PLAIN_INTERVAL_MS = 30_000;
/** Between two changes of the status line. */
const STATUS_INTERVAL_MS = 100;

/** Shows how far downloads are: in the status line, or in a line now and then where there is none. */
export class DownloadView {
  readonly #ui: Ui;
  #name = "";
  #began = 0;
  #bytesBefore = 0;
  #shown = -Infinity;
  #waiting: string | undefined;

  /** @param ui Where it is shown. */
  constructor(ui: Ui) {
    this.#ui = ui;
  }

  /** Shows one state. */
  show(progress: DownloadProgress): void {
    const { name, bytes, totalBytes, totalFiles, waiting } = progress;
    const now = performance.now();
    if (waiting !== undefined && waiting !== this.#waiting) this.#ui.line(`${name}: ${waiting}`);
    this.#waiting = waiting;
    if (totalFiles === 0 || bytes === 0 && totalBytes === 0) return;
    const key = `${name} ${totalBytes}`;
    if (key !== this.#name) {
      [this.#name, this.#began, this.#bytesBefore] = [key, now, bytes];
      this.#ui.line(`downloading ${name}: ${formatAmount(totalFiles, "file")}${sizeOf(progress)}`);
      this.#shown = now;
    }
    const isInteractive = this.#ui.interactive;
    if (bytes === totalBytes) return this.#ui.clearStatus();
    if (now - this.#shown < (isInteractive ? STATUS_INTERVAL_MS : PLAIN_INTERVAL_MS)) return;
    this.#shown = now;
    const rate = Math.max(0, bytes - this.#bytesBefore) / ((now - this.#began) / 1000);
    const text = `downloading ${name}  ${progressText(progress, rate)}`;
    if (isInteractive) this.#ui.status(text);
    else this.#ui.line(text);
  }
}

/** How much there is to download, and how much of it is there already; nothing where that is unknown. */
function sizeOf({ bytes, totalBytes }: DownloadProgress): string {
  if (totalBytes === 0) return "";
  const there = bytes === 0 ? "" : `, ${formatBytes(bytes)} of them there`;
  return `, ${formatBytes(totalBytes)}${there}`;
}

/** @param rate Bytes per second. */
function progressText({ bytes, totalBytes }: DownloadProgress, rate: number): string {
  const speed = `${formatBytes(Math.round(rate))}/s`;
  if (totalBytes === 0) return `${formatBytes(bytes)}  ${speed}`;
  const percent = Math.floor(100 * bytes / totalBytes);
  const left = formatDuration((totalBytes - bytes) / rate);
  return `${percent} %  ${formatBytes(bytes)} of ${formatBytes(totalBytes)}  ${speed}  ETA ${left}`;
}

/** What a command hands on to show its downloads. */
export function shownDownloads(ui: Ui): Required<Pick<HubUse, "onDownload">> {
  const view = new DownloadView(ui);
  return { onDownload: (progress) => view.show(progress) };
}
