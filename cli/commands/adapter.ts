/** `adapter`: converts, adds, subtracts and scales adapters of sparse deltas. */

import { combineAdapters, SpielError, writableLayouts } from "../../mod.ts";
import { type AnyCommand, checkAll, makeCommand, parseFlags, unknownName } from "../flags.ts";
import { formatCount } from "../format.ts";
import { openUi } from "../ui.ts";

/** What can be done: how many adapters it takes, and what the deltas of each are multiplied by. */
interface Action {
  readonly takes: string;
  readonly allows: (count: number) => boolean;
  readonly factors: (by: number) => readonly number[];
}

const ACTIONS: ReadonlyMap<string, Action> = new Map<string, Action>([
  ["convert", { takes: "1 adapter", allows: (count) => count === 1, factors: () => [1] }],
  ["add", { takes: "2 adapters or more", allows: (count) => count > 1, factors: () => [] }],
  ["subtract", { takes: "2 adapters", allows: (count) => count === 2, factors: () => [1, -1] }],
  ["scale", { takes: "1 adapter", allows: (count) => count === 1, factors: (by) => [by] }],
]);

/** The command with all its flags. */
export function adapterCommand(): AnyCommand {
  const layouts = writableLayouts().map((name) => name.toLowerCase()).join(", ");
  const command = makeCommand(
    "adapter",
    "Makes an adapter of sparse deltas from others: convert A, add A B…, subtract A B (A without B), " +
      "scale A --by F.",
  );
  command.argument("<action>", [...ACTIONS.keys()].join(", "));
  command.argument("<adapters...>", "adapter folders");
  command.option("--out <DIR>", "folder for the result; must not hold anything yet [required]")
    .option("--layout <NAME>", `layout of the result [${layouts}; default: sft]`)
    .option("--by <F>", "what scale multiplies the deltas by")
    .option("--model <PATH>", "base model, for adapters that do not record its shapes")
    .option("--allow-other-base", "add adapters of different base models all the same")
    .option("--json", "print one JSON object");
  return command;
}

function actionOf(name: string, count: number): Action {
  const action = ACTIONS.get(name);
  if (action === undefined) {
    throw unknownName(name, "an action of adapter", [...ACTIONS.keys()]);
  }
  if (action.allows(count)) return action;
  throw new SpielError("usage", `${name} takes ${action.takes}, not ${count}; see adapter --help`);
}

function factorOf(action: string, typed: unknown): number {
  if (action !== "scale") {
    if (typed === undefined) return 1;
    throw new SpielError("usage", "--by belongs to the action scale");
  }
  const value = typeof typed === "string" && typed.trim() !== "" ? Number(typed) : NaN;
  if (Number.isFinite(value) && value !== 0) return value;
  const found = typed === undefined ? "missing" : JSON.stringify(typed);
  throw new SpielError("usage", `--by is ${found}; expected a number other than 0`);
}

function outOf(typed: unknown): string {
  if (typeof typed === "string" && typed !== "") return typed;
  throw new SpielError("usage", "--out is missing; expected a folder for the result");
}

/** Runs `adapter`. */
export async function runAdapter(args: readonly string[]): Promise<void> {
  const command = adapterCommand();
  const options = parseFlags(command, args);
  if (options === undefined) return;
  const [name = "", adapters = []] = command.processedArgs as [string, string[]];
  const { action, by, out } = checkAll({
    action: () => actionOf(name, adapters.length),
    by: () => factorOf(name, options["by"]),
    out: () => outOf(options["out"]),
  });
  const ui = openUi(options["json"] === true);
  const { layout, model } = options;
  const factors = action.factors(by);
  const result = await combineAdapters({
    terms: adapters.map((adapter, index) => ({ adapter, factor: factors[index] })),
    out,
    layout: typeof layout === "string" ? layout : undefined,
    model: typeof model === "string" ? model : undefined,
    allowOtherBase: options["allowOtherBase"] === true,
    onWarning: (message) => ui.warn(message),
  });
  if (ui.json) return ui.data(result);
  ui.line(
    `${result.layout} adapter of ${formatCount(result.deltas)} deltas saved in ${result.out}`,
  );
  if (adapters.length > 1) {
    ui.line(`${formatCount(result.overlaps)} positions are in more than one of the adapters`);
  }
  if (result.padding > 0) {
    ui.line(`${formatCount(result.padding)} deltas of value 0 fill what ${result.layout} asks for`);
  }
}
