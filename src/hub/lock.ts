/** Waiting for one's turn at a place in the cache, which several programs may share. */
import type { FileLock } from "../io/files.ts";
import type { Clock } from "./clock.ts";
import type { HubDisk } from "./disk.ts";
import { refuseIfStopped } from "./retry.ts";

/** Between two looks at a lock that another process holds. */
const LOCK_POLL_MS = 250;

/** How is waited. */
export interface LockWaiting {
  readonly disk: HubDisk;
  readonly clock: Clock;
  readonly signal: AbortSignal | undefined;
  /** Told once that another process is at it. */
  readonly onWaiting: () => void;
}

/**
 * Takes the lock of a file in a folder that is there.
 *
 * @throws {SpielError} `interrupted` when the signal fires; the system's error where the disk fails.
 */
export async function takeLock(
  path: string,
  { disk, clock, signal, onWaiting }: LockWaiting,
): Promise<FileLock> {
  for (let tries = 0;; tries++) {
    refuseIfStopped(signal);
    const lock = await disk.lock(path);
    // Some programs remove a lock's file with the lock: what was held is then no longer what others see.
    if (lock !== null && await disk.status(path) !== null) return lock;
    lock?.release();
    if (lock !== null) continue;
    if (tries === 0) onWaiting();
    await clock.sleep(LOCK_POLL_MS, signal).catch(() => refuseIfStopped(signal));
  }
}
