/** An interpreter of Jinja that ends: its library has no limits, and templates come from strangers. */
import type { Environment } from "npm:@huggingface/jinja@0.5.11";
import { Interpreter } from "npm:@huggingface/jinja@0.5.11";

/**
 * Units of work for one rendering, about a second: an evaluated node is one, and what it looks through or goes through
 * counts besides.
 */
const MAX_WORK = 1_000_000;
/**
 * The same for all renderings of one conversation, where its answers are looked for: as many as answers with calls need
 * in a conversation of some hundred messages.
 */
const MAX_WORK_FOR_ALL = 20_000_000;
/** Evaluations in one another. */
const MAX_DEPTH = 500;
/** A turn of a loop has a scope of its own. */
const UNITS_PER_TURN = 10;
/** Characters that are looked through, and elements, in one unit of work. */
const CHARACTERS_PER_UNIT = 512;
const ELEMENTS_PER_UNIT = 4;
/** Characters of a text, or of all in a list, beyond what the conversation itself accounts for. */
const FREE_CHARACTERS = 256 * 1024;
/** How often a template may print what it is given. */
const MOST_COPIES = 8;
/** What one operation may make at once, before its result can be measured. */
const MOST_AT_ONCE = 16 * 1024 * 1024;
/** The longest `range`. */
const MAX_RANGE = 100_000;

/** Operations whose result may be as long as their operand times an argument. */
const MULTIPLYING: ReadonlySet<unknown> = new Set(["replace", "join", "indent", "tojson"]);
/** Filters that do not look through what they are given. */
const IMMEDIATE: ReadonlySet<unknown> = new Set(["length", "first", "last"]);

type Node = NonNullable<Parameters<Interpreter["evaluate"]>[0]>;
type Value = ReturnType<Interpreter["evaluate"]>;

/** A template that left its bounds. */
export class BoundError extends Error {}

/** A conversation that needed too much work in all. */
export class BudgetError extends BoundError {}

/** What the renderings of one conversation may take together. */
export class WorkBudget {
  #left: number;

  /** @param most Units of work. */
  constructor(private readonly most = MAX_WORK_FOR_ALL) {
    this.#left = most;
  }

  /** @throws {BudgetError} when there is not so much left. */
  spend(units: number): void {
    this.#left -= units;
    if (this.#left < 0) {
      throw new BudgetError(`more than ${this.most} operations to find its answers`);
    }
  }
}

/** Python's `range`. */
export function boundedRange(start: number, stop?: number, step = 1): number[] {
  const [from, to] = stop === undefined ? [0, start] : [start, stop];
  const length = Math.max(0, Math.ceil((to - from) / step));
  if (!(length <= MAX_RANGE)) throw new BoundError(`a range of more than ${MAX_RANGE} numbers`);
  return Array.from({ length }, (_, i) => from + i * step);
}

/** What an operation works on: it is measured as soon as it is known, before the operation has begun. */
interface Operation {
  /** A list or text; undefined where it is not the value of a node. */
  operand: Node | undefined;
  parts: readonly Node[];
  isMultiplying: boolean;
  isLoop?: boolean;
}

/** Runs one template once. */
export class BoundedInterpreter extends Interpreter {
  #work = 0;
  #depth = 0;
  readonly #maxLength: number;
  readonly #weights = new WeakMap<object, number>();
  /** The last values of the parts. */
  readonly #values = new Map<Node, Value>();

  constructor(environment: Environment, private readonly budget?: WorkBudget) {
    super(environment);
    this.#maxLength = Infinity;
    const given = [...environment.variables.values()].reduce(
      (sum, value) => sum + this.#weigh(value),
      0,
    );
    this.#maxLength = FREE_CHARACTERS + MOST_COPIES * given;
  }

  override evaluate(node: Node | undefined, environment: Environment): Value {
    this.#spend(1);
    const operation = node === undefined ? null : knownOperation(node);
    for (const part of operation?.parts ?? []) this.#values.delete(part);
    const value = this.#evaluate(node, environment);
    this.#weigh(value);
    const whole = node === undefined ? undefined : WHOLES.get(node);
    if (whole === undefined) return value;
    this.#values.set(node!, value);
    this.#spend(unitsOf(value, whole));
    if (whole.isMultiplying) this.#refuseProduct(whole);
    return value;
  }

  /** As the library does, which leaves loops and goes on with them by exceptions. */
  #evaluate(node: Node | undefined, environment: Environment): Value {
    if (this.#depth === MAX_DEPTH) throw new BoundError(`more than ${MAX_DEPTH} levels`);
    this.#depth++;
    try {
      return super.evaluate(node, environment);
    } finally {
      this.#depth--;
    }
  }

  #spend(units: number): void {
    this.#work += units;
    if (this.#work > MAX_WORK) throw new BoundError(`more than ${MAX_WORK} operations`);
    this.budget?.spend(units);
  }

  /** Characters of a text or of everything in a list. What is shared counts wherever it is. */
  #weigh(value: Value): number {
    const content: unknown = value.value;
    let weight = 1;
    if (typeof content === "string") {
      weight += content.length;
    } else if (Array.isArray(content) || content instanceof Map) {
      const known = this.#weights.get(content);
      if (known !== undefined && value.type !== "NamespaceValue") return known;
      for (const [key, item] of content.entries()) {
        if (item.type === "NamespaceValue") throw new BoundError("a namespace in a namespace");
        weight += this.#weigh(item) + (typeof key === "string" ? key.length : 0);
      }
      this.#weights.set(content, weight);
    }
    if (weight > this.#maxLength) {
      throw new BoundError(`a text or list of more than ${this.#maxLength} characters`);
    }
    return weight;
  }

  /** Refuses what would be too much before it could be measured. */
  #refuseProduct({ operand, parts }: Operation): void {
    const size = operand === undefined
      ? this.#maxLength
      : this.#weigh(this.#values.get(operand) ?? EMPTY);
    const factors = parts.filter((part) => part !== operand)
      .map((part) => factorOf(this.#values.get(part)));
    if (size * Math.max(0, ...factors) > MOST_AT_ONCE + this.#maxLength) {
      throw new BoundError(`a text or list of more than ${this.#maxLength} characters`);
    }
  }
}

/** What nodes of all templates look through, which no rendering changes. */
const OPERATIONS = new WeakMap<Node, Operation | null>();
/** By each part of an operation, the operation. */
const WHOLES = new WeakMap<Node, Operation>();

/** As `operationOf`, which is asked once. */
function knownOperation(node: Node): Operation | null {
  const known = OPERATIONS.get(node);
  if (known !== undefined) return known;
  const operation = operationOf(node);
  OPERATIONS.set(node, operation);
  for (const part of operation?.parts ?? []) WHOLES.set(part, operation!);
  return operation;
}

/** Stands for a value that is not known yet. */
const EMPTY = { type: "UndefinedValue", value: undefined } as Value;

function factorOf(value: Value | undefined): number {
  const content: unknown = value?.value;
  if (typeof content === "string") return content.length;
  return typeof content === "number" || content instanceof Number ? Number(content) : 0;
}

/** Work to look through a value, or to go through it in a loop. */
function unitsOf({ value }: Value, { isLoop }: Operation): number {
  if (typeof value === "string") return value.length / CHARACTERS_PER_UNIT;
  const elements = Array.isArray(value) ? value.length : value instanceof Map ? value.size : 0;
  return isLoop ? elements * UNITS_PER_TURN : elements / ELEMENTS_PER_UNIT;
}

/** The parts of a syntax node, of which the library tells no types. */
interface Syntax {
  type: string;
  [part: string]: unknown;
}

/** What a node looks through; null for one that does not. */
function operationOf(node: Node): Operation | null {
  const { type, left, right, operand, filter, callee, iterable, object, property, args } =
    node as unknown as Record<string, Syntax & Syntax[]>;
  switch (type as unknown) {
    case "BinaryExpression":
      return operationOn(left, [right], false);
    case "FilterExpression":
      return filtered(operand, filter!);
    case "FilterStatement":
      return filtered(undefined, filter!);
    case "For":
      return {
        ...operationOn((iterable!.lhs as Syntax | undefined) ?? iterable, [], false),
        isLoop: true,
      };
    case "CallExpression": {
      const method = callee!.property as Syntax | undefined;
      return operationOn(callee!.object as Syntax, args!, MULTIPLYING.has(method?.value));
    }
    case "MemberExpression":
      return property!.type === "SliceExpression" ? operationOn(object, [], false) : null;
    default:
      return null;
  }
}

function filtered(operand: Syntax | undefined, filter: Syntax): Operation | null {
  const name = ((filter.callee as Syntax | undefined) ?? filter).value;
  if (IMMEDIATE.has(name)) return null;
  return operationOn(operand, (filter.args as Syntax[] | undefined) ?? [], MULTIPLYING.has(name));
}

function operationOn(
  operand: Syntax | undefined,
  args: readonly (Syntax | undefined)[],
  isMultiplying: boolean,
): Operation {
  // A named argument is evaluated by its value.
  const values = args.map((argument) =>
    argument?.type === "KeywordArgumentExpression" ? argument.value : argument
  );
  const parts = [operand, ...values].filter((part) => part !== undefined);
  return { operand: operand as Node | undefined, parts: parts as Node[], isMultiplying };
}
