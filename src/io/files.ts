/**
 * The file operations that everything durable goes through, as one small interface.
 * Nothing else that writes a checkpoint, an adapter or a run folder touches the disk, so that tests
 * can fail, tear or kill any single call.
 */

import { SpielError } from "../errors.ts";
import { missingPermission } from "./permission.ts";

/** A file open for writing. */
export interface OutputFile {
  /** Writes from the start of `bytes` and returns how many were taken, which may be fewer than all. */
  write(bytes: Uint8Array): Promise<number>;
  /** Returns when everything written so far is on stable storage. */
  sync(): Promise<void>;
  /** Gives the file back. */
  close(): void;
}

/** One name in a folder. */
export interface FolderEntry {
  /** Without the folder. */
  name: string;
  /** Whether it is a folder. */
  isFolder: boolean;
}

/** What stands at a path. */
export interface FileStatus {
  /** Whether it is a folder. */
  isFolder: boolean;
  /** Length in bytes. */
  size: number;
}

/** Whether others may have the same lock. */
export type LockKind = "exclusive" | "shared";

/** A held lock. The system also releases it when the process ends, however it ends. */
export interface FileLock {
  /** Gives the lock back. */
  release(): void;
}

/** File operations. Failures are the system's own errors, with its `code` ("ENOSPC", "EIO" …). */
export interface Files {
  /** Opens a new or emptied file. */
  create(path: string): Promise<OutputFile>;
  /** Opens a file to write behind its end; makes it when missing. */
  append(path: string): Promise<OutputFile>;
  /** Reads a whole file. */
  read(path: string): Promise<Uint8Array>;
  /** Reads a file in parts, each valid until the next is asked for. */
  readParts(path: string): AsyncIterable<Uint8Array>;
  /** The folder's entries by name, in code unit order; fails when there is no such folder. */
  list(path: string): Promise<FolderEntry[]>;
  /** Status of the path, or null when nothing is there. */
  status(path: string): Promise<FileStatus | null>;
  /** Makes the folder and its parents; it may exist already. */
  makeFolder(path: string): Promise<void>;
  /** Moves a file or folder; replaces a file, never a folder with something in it. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file or a whole tree; nothing there is no failure. */
  remove(path: string): Promise<void>;
  /** Removes a folder that holds nothing; fails where it does. */
  removeFolder(path: string): Promise<void>;
  /** Makes the folder's own entries durable: names created, renamed or removed in it. */
  syncFolder(path: string): Promise<void>;
  /**
   * Takes a lock on a file, made when missing: exclusive unless it is to be shared. Null when another process holds one
   * that this cannot go with.
   */
  lock(path: string, kind?: LockKind): Promise<FileLock | null>;
}

// Large enough to keep the call count low, small enough to leave the event loop responsive.
const PART_BYTES = 8 << 20;

/** The disk, through Deno. */
export const denoFiles: Files = {
  create: (path) => Deno.open(path, { write: true, create: true, truncate: true }),
  append: (path) => Deno.open(path, { append: true, create: true }),
  read: (path) => Deno.readFile(path),

  async *readParts(path) {
    using file = await Deno.open(path);
    const { size } = await file.stat();
    const part = new Uint8Array(Math.min(PART_BYTES, Math.max(1, size)));
    for (let length; (length = await file.read(part)) !== null;) yield part.subarray(0, length);
  },

  async list(path) {
    const entries: FolderEntry[] = [];
    for await (const { name, isDirectory } of Deno.readDir(path)) {
      entries.push({ name, isFolder: isDirectory });
    }
    return entries.sort((a, b) => a.name < b.name ? -1 : 1);
  },

  async status(path) {
    try {
      const { isDirectory, size } = await Deno.stat(path);
      return { isFolder: isDirectory, size };
    } catch (error) {
      if (isNotFound(error)) return null;
      throw error;
    }
  },

  makeFolder: (path) => Deno.mkdir(path, { recursive: true }),
  rename: (from, to) => Deno.rename(from, to),

  async remove(path) {
    try {
      await Deno.remove(path, { recursive: true });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  },

  async syncFolder(path) {
    // Windows cannot open a folder as a file; NTFS journals its names by itself.
    if (Deno.build.os === "windows") return;
    using folder = await Deno.open(path);
    await folder.sync();
  },

  removeFolder: (path) => Deno.remove(path),

  async lock(path, kind = "exclusive") {
    const file = await openToLock(path, kind);
    if (await file.tryLock(kind === "exclusive") && await isStillAt(path, file)) {
      return { release: () => file.close() };
    }
    file.close();
    return null;
  },
};

/** Opens a file to lock it; who shares the lock need not be allowed to write where the file is there. */
async function openToLock(path: string, kind: LockKind): Promise<Deno.FsFile> {
  try {
    // Disks of the network give an exclusive lock only to who may write, and a shared one to who may read.
    return await Deno.open(path, { read: true, write: true, create: true });
  } catch (error) {
    const isDenied = ["EACCES", "EPERM", "EROFS"].includes(systemCode(error) ?? "");
    if (kind === "shared" && isDenied) return await Deno.open(path);
    throw error;
  }
}

/** Whether a path still names an open file, which its last holder may have removed meanwhile. */
async function isStillAt(path: string, file: Deno.FsFile): Promise<boolean> {
  const { dev, ino } = await file.stat();
  try {
    const named = await Deno.stat(path);
    return named.dev === dev && named.ino === ino;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}

/**
 * Writes a whole new file and returns when its content is durable. Its name becomes durable with
 * the next `syncFolder` of its folder.
 *
 * @throws the system's error; the file is then incomplete and never to be trusted, also when only
 * the sync failed, because a second sync may report success although data was lost.
 */
export async function writeDurably(
  files: Files,
  path: string,
  content: Uint8Array | AsyncIterable<Uint8Array>,
): Promise<void> {
  const file = await files.create(path);
  try {
    if (content instanceof Uint8Array) await writeAll(file, content);
    else for await (const part of content) await writeAll(file, part);
    await file.sync();
  } finally {
    file.close();
  }
}

/**
 * Writes all of `content`, however few bytes each call takes.
 *
 * @param onTaken Told after each call how many more bytes were taken.
 */
export async function writeAll(
  file: OutputFile,
  content: Uint8Array,
  onTaken?: (bytes: number) => void,
): Promise<void> {
  let written = 0;
  while (written < content.length) {
    const taken = await file.write(content.subarray(written, written + PART_BYTES));
    if (taken <= 0) throw new Error(`The system took none of ${content.length - written} bytes`);
    written += taken;
    onTaken?.(taken);
  }
}

/** True for the system's "no such file or folder". */
export function isNotFound(error: unknown): boolean {
  return systemCode(error) === "ENOENT";
}

/** The system's code of an error, such as "ENOSPC"; undefined when it has none. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  return "code" in error && typeof error.code === "string" ? error.code : undefined;
}

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: "no space left on the device; free some space or choose another disk",
  EDQUOT: "the disk quota is used up",
  EACCES: "permission denied",
  EEXIST: "a file of that name is in the way",
  EINVAL: "the file system cannot do it",
  ENAMETOOLONG: "the name is too long",
  ENOENT: "no such file or folder",
  EPERM: "operation not permitted",
  EROFS: "the file system is read-only",
  EIO: "the device reported an input/output error",
  EMFILE: "too many files are open",
  ENOTDIR: "a part of the path is not a folder",
};

/**
 * The error to show for a failed file operation.
 *
 * @param doing what failed, as in `Cannot save checkpoint "runs/a"`.
 * @returns a "storage" error with the reason in words, "environment" where Deno lacks a permission, or `error` itself
 * when it already is for people.
 */
export function storageError(doing: string, error: unknown): SpielError {
  if (error instanceof SpielError) return error;
  if (error instanceof Deno.errors.NotCapable) {
    const flag = missingPermission(error.message);
    const advice = flag === "--allow-all"
      ? "Deno opens it only with --allow-all, as it does the system's own folders; choose another"
      : `add ${flag} to the deno command`;
    return new SpielError("environment", `${doing}: ${advice}`, { cause: error });
  }
  const code = systemCode(error);
  const reason = (code && REASONS[code]) ??
    (error instanceof Error ? error.message : String(error));
  return new SpielError("storage", `${doing}: ${reason}`, { cause: error });
}
