/** The end of a command: its exit code, and every error as a sentence. */

import { EXIT_CODES, isSpielError, missingPermission, storageError } from "../mod.ts";
import { settleDrivers } from "./drivers.ts";
import { standardError, standardOutput } from "./streams.ts";
import { environment } from "./ui.ts";

/** How a command ends: the process's code and what is said on standard error. */
export interface Ending {
  code: number;
  message: string;
}

/** The errors below an error, itself first. */
function* causes(error: unknown): Generator<unknown> {
  const seen = new Set<unknown>();
  for (let at = error; at !== undefined && !seen.has(at);) {
    seen.add(at);
    yield at;
    at = at instanceof Error ? at.cause : undefined;
  }
}

function permissionHint(error: unknown): string | undefined {
  for (const cause of causes(error)) {
    if (cause instanceof Deno.errors.NotCapable) return missingPermission(cause.message);
  }
  return undefined;
}

/** What an error means for the process. Pure: prints nothing. */
export function endingOf(error: unknown): Ending {
  const permission = permissionHint(error);
  if (isSpielError(error)) {
    const isStop = error.kind === "interrupted";
    const words = isStop
      ? `stopped: ${error.message.replace(/^Stopped /, "")}`
      : `error: ${error.message}`;
    const isKnown = permission === undefined || error.message.includes("--allow-");
    const hint = isKnown ? "" : `; add ${permission} to the deno command`;
    return { code: EXIT_CODES[error.kind], message: `${words}${hint}` };
  }
  if (permission !== undefined) {
    return {
      code: EXIT_CODES.environment,
      message: `error: Deno may not do this yet; add ${permission} to the deno command`,
    };
  }
  const words = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return {
    code: EXIT_CODES.internal,
    message: `internal error: ${words.replaceAll("\n", " ")}; this is a fault of the program: ` +
      `please report it with the command that led here (SPIEL_DEBUG=1 shows the place)`,
  };
}

/** Says what happened and leaves the process. */
export function exitWith(error: unknown): never {
  const { code, message } = endingOf(error);
  standardError.write(`${message}\n`);
  if (environment("SPIEL_DEBUG")) {
    for (const cause of causes(error)) {
      const words = cause instanceof Error ? cause.stack ?? cause.message : Deno.inspect(cause);
      standardError.write(`${words}\n`);
    }
  }
  Deno.exit(code);
}

/** Runs a command and leaves the process as its ending says; one whose output was lost has failed. */
export async function runToExit(command: () => Promise<void>): Promise<void> {
  addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    exitWith(event.reason);
  });
  settleDrivers();
  try {
    await command();
    const { failure } = standardOutput;
    if (failure !== undefined) throw storageError("Cannot write to standard output", failure);
  } catch (error) {
    exitWith(error);
  }
}
