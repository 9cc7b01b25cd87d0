/** Runs the command line as a process, as a user would. */

/** What a process left behind. */
export interface Finished {
  code: number;
  stdout: string;
  stderr: string;
}

const ROOT = new URL("../../", import.meta.url).pathname;

/** The permissions that the documentation names for local work. */
const PERMISSIONS = [
  "--no-prompt",
  "--allow-read",
  "--allow-write",
  "--allow-ffi",
  "--allow-env=SPIEL_NATIVE_LIB,SPIEL_DEBUG,NO_COLOR,XDG_RUNTIME_DIR,LOG_TOKENS,LOG_STREAM",
];

/** Without a folder for sockets, Mesa's Vulkan drivers say so on standard error. */
const QUIET_DRIVERS = { XDG_RUNTIME_DIR: Deno.env.get("XDG_RUNTIME_DIR") ?? "/tmp" };

/** How to run. */
export interface CliOptions {
  /** The file in `cli/`. */
  entry?: "main.ts" | "train.ts";
  /** Deno's flags; those of the documentation unless given. */
  permissions?: readonly string[];
  env?: Readonly<Record<string, string>>;
  stdin?: string;
  /** A file that standard output goes to, by a shell. */
  stdoutTo?: string;
  /** The same for standard error, one of the two. */
  stderrTo?: string;
}

/** The process's command, not yet started. */
export function cliCommand(args: readonly string[], options: CliOptions = {}): Deno.Command {
  const { entry = "main.ts", permissions = PERMISSIONS, env = {}, stdoutTo, stderrTo } = options;
  const run = ["run", "--quiet", "--no-check", ...permissions, `${ROOT}cli/${entry}`, ...args];
  const stream = stderrTo === undefined ? "" : "2";
  const redirection = ["-c", `exec "$@" ${stream}> "$0"`, stdoutTo ?? stderrTo ?? ""];
  const isDirect = stdoutTo === undefined && stderrTo === undefined;
  return new Deno.Command(isDirect ? Deno.execPath() : "sh", {
    args: isDirect ? run : [...redirection, Deno.execPath(), ...run],
    env: { ...QUIET_DRIVERS, ...env },
    stdin: options.stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  });
}

/** Runs to the end. */
export async function runCli(args: readonly string[], options: CliOptions = {}): Promise<Finished> {
  const child = cliCommand(args, options).spawn();
  if (options.stdin !== undefined) {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(options.stdin));
    await writer.close();
  }
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** Words of a stack trace or a panic, which nobody may see. */
const TRACE = /^\s+at .+:\d+|Uncaught|panicked|file:\/\/\//m;

/** Says what is wrong with a refusal: its code, a missing sentence or a trace. */
export function refusalProblem(
  { code, stdout, stderr }: Finished,
  expected: number,
  words: RegExp,
): string | undefined {
  if (code !== expected) return `exit code ${code}, expected ${expected}: ${stderr}${stdout}`;
  if (TRACE.test(stderr + stdout)) return `a trace: ${stderr}${stdout}`;
  if (!stderr.startsWith("error: ")) return `no sentence: ${stderr}`;
  if (!words.test(stderr)) return `${stderr} does not match ${words}`;
  return undefined;
}
