/** Runs commands at the repository's root and collects what they print. */

import { ROOT } from "./repo.ts";

/** What a finished command left behind. */
export interface Finished {
  /** Exit status; 127 when the program does not exist. */
  readonly code: number;
  /** Standard output and standard error, in the order in which they arrived. */
  readonly output: string;
  /** Standard output alone. */
  readonly stdout: string;
}

/** How to run a command. */
export interface ExecOptions {
  /** Variables added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Also print the output while it arrives. */
  readonly echo?: boolean;
  /** Text for standard input, which is otherwise empty. */
  readonly input?: string;
}

/**
 * Runs a command and waits for it.
 *
 * @param command The program and its arguments; never a shell line.
 * @returns The exit status and the output; a missing program is a result, not an exception.
 */
export async function exec(
  command: readonly string[],
  options: ExecOptions = {},
): Promise<Finished> {
  const [program, ...args] = command;
  if (program === undefined) throw new TypeError("Cannot run an empty command");
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program, {
      args,
      cwd: ROOT,
      env: { NO_COLOR: "1", CARGO_TERM_COLOR: "never", ...options.env },
      stdin: options.input === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      return { code: 127, output: `${program}: not found\n`, stdout: "" };
    }
    throw error;
  }

  let output = "";
  const collect = async (stream: ReadableStream<Uint8Array>): Promise<string> => {
    const decoder = new TextDecoder();
    let own = "";
    for await (const chunk of stream) {
      const text = decoder.decode(chunk, { stream: true });
      own += text;
      output += text;
      if (options.echo) Deno.stdout.writeSync(chunk);
    }
    return own;
  };
  const feed = async (input: string): Promise<void> => {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(input));
    await writer.close();
  };
  const [status, stdout] = await Promise.all([
    child.status,
    collect(child.stdout),
    collect(child.stderr),
    options.input === undefined ? undefined : feed(options.input),
  ]);
  return { code: status.code, output, stdout };
}

/**
 * Runs a command that must succeed.
 *
 * @returns Its standard output.
 * @throws Error with the command and its output when it fails.
 */
export async function execOrThrow(
  command: readonly string[],
  options: ExecOptions = {},
): Promise<string> {
  const { code, output, stdout } = await exec(command, options);
  if (code !== 0) throw new Error(`${command.join(" ")} ended with status ${code}\n${output}`);
  return stdout;
}
