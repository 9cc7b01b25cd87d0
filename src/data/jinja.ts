/** Compiles and runs Jinja templates, which come from strangers: without the time of day, and within bounds. */
import { Environment, Template } from "npm:@huggingface/jinja@0.5.11";
import { SpielError } from "../errors.ts";
import { isObject } from "../io/random_access.ts";
import { WrittenNumber } from "./written_json.ts";
import { BoundedInterpreter, boundedRange, BoundError, type WorkBudget } from "./jinja_bounds.ts";

/** The longest source, in characters. */
const MAX_SOURCE = 256 * 1024;

/**
 * LLaMA 3 templates print a date: the one given, or today's. A fixed one keeps a rendering the same every day;
 * this is the default that those templates themselves carry.
 */
export const DATE_STRING = "26 Jul 2024";

/** The same date by the letters of `strftime`. */
const DATE_PARTS: Readonly<Record<string, string>> = {
  ...{ Y: "2024", y: "24", m: "07", B: "July", b: "Jul", d: "26", A: "Friday", a: "Fri" },
  ...{ H: "00", I: "12", M: "00", S: "00", p: "AM", "%": "%" },
};

/** A compiled template. */
export class JinjaTemplate {
  readonly #template: Template;

  /**
   * @param where The file that it is from.
   * @throws {SpielError} kind "data" when the source does not parse.
   */
  constructor(source: string, where?: string) {
    const file = where === undefined ? "" : ` of ${where}`;
    if (source.length > MAX_SOURCE) {
      throw new SpielError(
        "data",
        `The chat template${file} has ${source.length} characters; expected at most ${MAX_SOURCE}`,
      );
    }
    try {
      this.#template = new Template(source);
    } catch (cause) {
      // The parser looks past the last token without looking whether there is one.
      const reason = cause instanceof TypeError
        ? "it ends inside a statement or block"
        : reasonOf(cause);
      throw new SpielError("data", `The chat template${file} does not parse: ${reason}`, { cause });
    }
  }

  /**
   * @param budget What this rendering and others may take together.
   * @throws {SpielError} kind "data" with the template's own complaint, or when it leaves its bounds.
   */
  render(variables: Readonly<Record<string, unknown>>, budget?: WorkBudget): string {
    try {
      const environment = new Environment();
      for (const [name, value] of Object.entries({ ...GLOBALS, ...variables })) {
        writeNumbers(environment.set(name, value), value);
      }
      return String(new BoundedInterpreter(environment, budget).run(this.#template.parsed).value);
    } catch (cause) {
      const verb = cause instanceof BoundError ? "goes beyond bounds" : "refuses the conversation";
      throw new SpielError("data", `The chat template ${verb}: ${reasonOf(cause)}`, { cause });
    }
  }
}

/** What templates may use, beside what they are given. */
const GLOBALS: Readonly<Record<string, unknown>> = {
  ...{ true: true, false: false, none: null, True: true, False: false, None: null },
  range: boundedRange,
  raise_exception: (reason: unknown) => {
    throw new Error(String(reason));
  },
  strftime_now: (format: unknown) =>
    String(format).replace(/%([A-Za-z%])/g, (code, letter) => DATE_PARTS[letter] ?? code),
};

type Value = ReturnType<Environment["set"]>;

/** Puts numbers in the place of what the library makes of written ones, which it takes for objects. */
function writeNumbers(value: Value, given: unknown): Value {
  if (given instanceof WrittenNumber) {
    const kind = /^-?\d+$/.test(given.source) ? 1 : 0.5;
    return Object.assign(new Environment().set("number", kind), { value: given });
  }
  const content: unknown = value.value;
  if (Array.isArray(given) && Array.isArray(content)) {
    content.forEach((item, i) => content[i] = writeNumbers(item, given[i]));
  } else if (isObject(given) && content instanceof Map) {
    for (const [key, item] of content) content.set(key, writeNumbers(item, given[key]));
  }
  return value;
}

function reasonOf(cause: unknown): string {
  if (cause instanceof RangeError) return "it nests or repeats too deeply";
  return cause instanceof Error ? cause.message : String(cause);
}
