/**
 * Spoils the good files of one family, named as the argument, in every way and runs the command line's own `main` on
 * each, in one process; prints a JSON line for each kind. Run with --v8-flags=--expose-gc, and on Linux with all
 * permissions, which /proc takes.
 */

import { endingOf } from "../../cli/exit.ts";
import { main } from "../../cli/main.ts";
import { makeTempDir } from "../support/temp_dir.ts";
import { FAMILIES } from "./families.ts";

/** What became of one kind; the good files of a family have the title "". */
export interface Refusal {
  readonly family: string;
  readonly title: string;
  /** The process's exit code, 0 for files that were accepted. */
  readonly code: number;
  readonly message: string;
  readonly seconds: number;
  /** Memory that the process held at most, over what it had before; null where the system does not tell. */
  readonly bytes: number | null;
}

const hasProc = Deno.build.os === "linux";

/** Bytes of a line such as `VmHWM: 5000 kB` in the process's status. */
function statusBytes(key: string): number {
  const [, kilobytes] = new RegExp(`^${key}:\\s+(\\d+) kB`, "m")
    .exec(Deno.readTextFileSync("/proc/self/status")) ?? [];
  return Number(kilobytes) * 1024;
}

/** Forgets the most memory that the process has held so far. */
function resetPeak(): void {
  Deno.writeTextFileSync("/proc/self/clear_refs", "5");
}

async function refusalOf(args: string[]): Promise<Omit<Refusal, "family" | "title">> {
  (globalThis as { gc?: () => void }).gc?.();
  if (hasProc) resetPeak();
  const before = hasProc ? statusBytes("VmRSS") : 0;
  const begun = performance.now();
  let ending = { code: 0, message: "" };
  try {
    await main(args);
  } catch (error) {
    ending = endingOf(error);
  }
  const seconds = (performance.now() - begun) / 1000;
  return { ...ending, seconds, bytes: hasProc ? statusBytes("VmHWM") - before : null };
}

/** Commands print what they find in good files. */
function say(refusal: Refusal): void {
  console.error(JSON.stringify(refusal));
}

if (import.meta.main) {
  const { name: family, make, args, kinds } = FAMILIES.find(({ name }) => name === Deno.args[0])!;
  const root = makeTempDir();
  Deno.env.set("SPIEL_CACHE", `${root}/cache`);
  try {
    for (const [index, [title, spoil]] of [["", () => {}] as const, ...kinds].entries()) {
      const folder = `${root}/${index}`;
      Deno.mkdirSync(folder);
      make(folder);
      await spoil(folder);
      say({ family, title, ...await refusalOf(args(folder)) });
      Deno.removeSync(folder, { recursive: true });
    }
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
}
