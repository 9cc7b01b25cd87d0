/** Flags of configuration keys: their declaration, their help, and their way back into entries. */

import { Command, CommanderError, Option } from "npm:@commander-js/extra-typings@15.1.0";
import {
  camelCase,
  CONFIG_KEYS,
  type ConfigEntry,
  type ConfigKey,
  type ConfigKeyHelp,
  configKeyHelp,
  isSpielError,
  problemsError,
  problemsIn,
  SpielError,
  suggest,
  unknownKey,
  VERSION,
} from "../mod.ts";
import { standardOutput } from "./streams.ts";

/** A command with options that are not known to the type checker. */
// deno-lint-ignore no-explicit-any
export type AnyCommand = Command<any[], any, any>;

/** Gathers the values of a flag that may be repeated. */
export function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}

/** What `collect` gathered. */
export function textList(option: unknown): string[] {
  return Array.isArray(option) ? option.map(String) : [];
}

function describe(help: ConfigKeyHelp): string {
  const notes: string[] = [];
  if (help.choices.length > 0) notes.push(help.choices.join(", "));
  if (help.defaultText === undefined) notes.push("required");
  else if (help.kind !== "boolean") notes.push(`default: ${help.defaultText}`);
  return notes.length === 0 ? help.description : `${help.description} [${notes.join("; ")}]`;
}

function optionOf(help: ConfigKeyHelp): Option {
  const value = help.placeholder === "" ? "" : ` <${help.placeholder}>`;
  const option = new Option(`${help.flag}${value}`, describe(help)).helpGroup(`${help.group}:`);
  if (help.repeatable) option.argParser(collect);
  return option as Option;
}

/** Where the text of help and of parse errors goes, and how wide it may be. */
function quiet(command: AnyCommand, columns: number): void {
  command.exitOverride().allowExcessArguments(false).configureHelp({ showGlobalOptions: false });
  command.configureOutput({
    writeOut: (text) => standardOutput.write(text),
    writeErr: () => {},
    getOutHelpWidth: () => Math.min(columns, 100),
    getOutHasColors: () => false,
    getErrHasColors: () => false,
  });
}

/** What `--version` prints. */
export const VERSION_TEXT = `spiel ${VERSION}`;

/** Makes a command whose failures are thrown, never printed. */
export function makeCommand(name: string, summary: string, columns = 100): AnyCommand {
  const command: AnyCommand = new Command(name).description(summary)
    .version(VERSION_TEXT, "-V, --version", "show the version")
    .helpOption("-h, --help", "show this help").helpCommand(false);
  quiet(command, columns);
  return command;
}

/** What a command says of a key in words of its own; a default of undefined means that it must be given. */
export type KeyWords = Partial<
  Record<
    ConfigKey,
    Pick<ConfigKeyHelp, "description" | "defaultText"> & Partial<Pick<ConfigKeyHelp, "placeholder">>
  >
>;

/** What commands that take an adapter say of `quantize`. */
export const QUANTIZE_WORDS: NonNullable<KeyWords["quantize"]> = {
  description: "format to which the layers of a 16-bit model are quantised while it is loaded",
  defaultText: "as the adapter was trained, else none",
};

/** Gives a command the flags of configuration keys. */
export function addKeyFlags(
  command: AnyCommand,
  keys: Iterable<ConfigKey>,
  words: KeyWords = {},
): void {
  for (const key of keys) {
    const help = configKeyHelp().get(key);
    if (help !== undefined) command.addOption(optionOf({ ...help, ...words[key] }));
  }
}

/** The entries that a command's flags amount to. */
export function flagEntries(
  options: Readonly<Record<string, unknown>>,
  keys: Iterable<ConfigKey>,
): ConfigEntry[] {
  const entries: ConfigEntry[] = [];
  for (const key of keys) {
    const value = options[camelCase(key)];
    if (value !== undefined) entries.push({ key, value, source: { kind: "flag" } });
  }
  return entries;
}

/** The entries of `--set key=value`. */
export function setEntries(assignments: Iterable<string>): ConfigEntry[] {
  return [...assignments].map((assignment) => {
    const equals = assignment.indexOf("=");
    if (equals < 1) {
      throw new SpielError(
        "usage",
        `--set is "${assignment}"; expected KEY=VALUE such as lr=0.001`,
      );
    }
    const key = assignment.slice(0, equals).trim().replaceAll("-", "_");
    return { key, value: assignment.slice(equals + 1).trim(), source: { kind: "set" } };
  });
}

/** A number that a command takes and that is no configuration key; bounds are included unless said otherwise. */
export interface NumberFlag {
  /** Such as `--top-p`. */
  flag: string;
  description: string;
  placeholder: string;
  fallback: number;
  minimum: number;
  excludesMinimum?: boolean;
  maximum: number;
  whole: boolean;
}

/** Declares a number. */
export function addNumberFlag(command: AnyCommand, number: NumberFlag): void {
  command.option(
    `${number.flag} <${number.placeholder}>`,
    `${number.description} [default: ${number.fallback}]`,
  );
}

/**
 * Reads a number.
 *
 * @throws {SpielError} `usage` when the text is no number in its range.
 */
export function readNumberFlag(
  options: Readonly<Record<string, unknown>>,
  { flag, fallback, minimum, excludesMinimum = false, maximum, whole }: NumberFlag,
): number {
  const text = options[camelCase(flag.slice(2).replaceAll("-", "_"))];
  if (typeof text !== "string") return fallback;
  const value = text.trim() === "" ? NaN : Number(text);
  const isAbove = excludesMinimum ? value > minimum : value >= minimum;
  if (isAbove && value <= maximum && (!whole || Number.isInteger(value))) return value;
  const noun = whole ? "a whole number" : "a number";
  const range = excludesMinimum
    ? `above ${minimum} and at most ${maximum}`
    : `from ${minimum} to ${maximum}`;
  throw new SpielError("usage", `${flag} is ${JSON.stringify(text)}; expected ${noun} ${range}`);
}

function quoted(message: string): string {
  return /'([^']*)'/.exec(message)?.[1] ?? "";
}

/** The option of that spelling if it is a boolean one. */
function booleanOption(flag: string | undefined, command: AnyCommand): Option | undefined {
  return command.options.find(({ long, short, required, optional }) =>
    flag !== undefined && (long === flag || short === flag) && !required && !optional
  );
}

/** Whether a flag is given once for each of its values. */
function isRepeatable(flag: string | undefined, command: AnyCommand): boolean {
  return command.options.some(({ long, parseArg }) => long === flag && parseArg === collect);
}

function unknownFlag(flag: string, command: AnyCommand): string {
  const [name = flag] = flag.split("=");
  if (booleanOption(name, command) !== undefined) {
    return `${flag} is not possible: ${name} takes no value; give ${name} alone, or leave it out for false`;
  }
  const negated = name.replace(/^--no-/, "--");
  if (booleanOption(negated, command) !== undefined) {
    const negatedKey = negated.slice(2).replaceAll("-", "_");
    const isKey = CONFIG_KEYS.some((key) => key === negatedKey);
    const over = isKey && command.options.some(({ long }) => long === "--set")
      ? `; over a file, --set ${negatedKey}=false turns it off`
      : "";
    return `${name} is not an option: ${negated} is off where it is not given${over}`;
  }
  const key = name.replace(/^-+/, "").replaceAll("-", "_");
  const known = command.options.flatMap(({ long }) =>
    long ? [long.slice(2).replaceAll("-", "_")] : []
  );
  if (known.includes(key)) {
    return `${name} is not an option; did you mean --${key.replaceAll("_", "-")}?`;
  }
  const words = unknownKey({ key, value: "", source: { kind: "flag" } }, known);
  const isGuess = words.endsWith("?");
  return isGuess ? words : `${words}; ${helpOf(command)}`;
}

function helpOf(command: AnyCommand): string {
  return `see ${command.name()} --help`;
}

/** Turns a parse failure into a sentence; undefined where help was asked for and shown. */
export function usageError(
  error: CommanderError,
  command: AnyCommand,
  args: readonly string[],
): SpielError | undefined {
  const found = quoted(error.message);
  const help = helpOf(command);
  switch (error.code) {
    case "commander.help":
    case "commander.helpDisplayed":
    case "commander.version":
      return undefined;
    case "commander.unknownOption":
      return new SpielError("usage", unknownFlag(found, command));
    case "commander.optionMissingArgument":
      return new SpielError("usage", `${/--[\w-]+/.exec(found)?.[0]} has no value; ${help}`);
    case "commander.missingMandatoryOptionValue":
      return new SpielError("usage", `${found} is missing; ${help}`);
    case "commander.missingArgument":
      return new SpielError("usage", `${found.toUpperCase()} is missing; ${help}`);
    case "commander.excessArguments": {
      const [first = ""] = command.args.slice(command.registeredArguments.length);
      const before = args[args.indexOf(first) - 1];
      const list = args[args.indexOf(first) - 2];
      const reason = booleanOption(before, command) !== undefined
        ? `${before} takes no value${before === "--resume" ? ", the run folder is --out" : ""}`
        : isRepeatable(list, command)
        ? `${list} takes one value, so say ${list} again before this one`
        : "it belongs to no option";
      return new SpielError("usage", `"${first}" is not expected: ${reason}; ${help}`);
    }
    default:
      return new SpielError("usage", error.message.replace(/^error: /, ""));
  }
}

/** Why arguments cannot be parsed; undefined where they can. */
function parseFailure(command: AnyCommand, args: readonly string[]): CommanderError | undefined {
  try {
    command.parse([...args], { from: "user" });
    return undefined;
  } catch (error) {
    if (error instanceof CommanderError) return error;
    throw error;
  }
}

/** Parses arguments; undefined where help was asked for and shown. Names every unknown option at once. */
export function parseFlags(
  command: AnyCommand,
  args: readonly string[],
): Readonly<Record<string, unknown>> | undefined {
  const problems: string[] = [];
  let left = args;
  let failure = parseFailure(command, left);
  while (failure !== undefined) {
    const usage = usageError(failure, command, left);
    if (usage === undefined) return undefined;
    problems.push(usage.message);
    if (failure.code !== "commander.unknownOption") break;
    left = withoutOption(left, quoted(failure.message));
    failure = parseFailure(command, left);
  }
  if (problems.length > 0) throw problemsError(problems);
  return command.opts();
}

/** Arguments without an option and the value that seems to be its own, to find further mistakes. */
function withoutOption(args: readonly string[], option: string): string[] {
  const at = args.indexOf(option);
  const hasValue = !option.includes("=") && args[at + 1]?.startsWith("-") === false;
  return args.toSpliced(at, hasValue ? 2 : 1);
}

/** Makes every check and returns what they found, or throws all that they complain of at once. */
export function checkAll<Found extends Record<string, unknown>>(
  checks: { readonly [Name in keyof Found]: () => Found[Name] },
): Found {
  const found: Record<string, unknown> = {};
  const problems: string[] = [];
  for (const [name, check] of Object.entries(checks)) {
    try {
      found[name] = check();
    } catch (error) {
      if (!isSpielError(error) || error.kind !== "usage") throw error;
      problems.push(...problemsIn(error));
    }
  }
  if (problems.length > 0) throw problemsError(problems);
  return found as Found;
}

/** Refuses a name that is none of the known ones, and suggests the one that was meant. */
export function unknownName(typed: string, what: string, known: readonly string[]): SpielError {
  const meant = suggest(typed, known);
  const hint = meant === undefined
    ? `expected one of ${known.join(", ")}`
    : `did you mean ${meant}?`;
  return new SpielError("usage", `"${typed}" is not ${what}; ${hint}`);
}
