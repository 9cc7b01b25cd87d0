/** The file operations that the cache needs besides those of `src/io/files.ts`. */

import { dirname, relative } from "node:path";
import { denoFiles, type Files, type OutputFile } from "../io/files.ts";

/** File operations of the cache. */
export interface HubDisk extends Files {
  /** Opens a file, made when missing, to write from `offset` on; what lies behind that is cut off. */
  resume(path: string, offset: number): Promise<OutputFile>;
  /** Gives a file a second name: a relative link, or where the system has none, any way that leaves the content there. */
  link(path: string, from: string): Promise<void>;
}

/** The disk, through Deno. */
export const denoDisk: HubDisk = {
  ...denoFiles,

  async resume(path, offset) {
    const file = await Deno.open(path, { write: true, create: true });
    try {
      await file.truncate(offset);
      await file.seek(offset, Deno.SeekMode.Start);
      return file;
    } catch (error) {
      file.close();
      throw error;
    }
  },

  async link(path, from) {
    for (const make of [makeSymlink, Deno.link]) {
      try {
        return await make(path, from);
      } catch (error) {
        if (error instanceof Deno.errors.AlreadyExists) throw error;
        // Deno makes symbolic links only with unscoped permissions, Windows only for some users.
      }
    }
    await Deno.copyFile(path, from);
  },
};

function makeSymlink(path: string, from: string): Promise<void> {
  return Deno.symlink(relative(dirname(from), path), from, { type: "file" });
}
