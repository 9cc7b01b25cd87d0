/**
 * Reads the few kinds of Python pickles that hold a dict of tensors. Nothing of what is read is run: a global is looked
 * up in a table of those that are known, and everything else is refused by its name.
 */
import { SpielError } from "../errors.ts";

/** A pickled value. Dicts are maps, tuples are arrays; tensors and storages are what their globals make of them. */
export type PickleValue =
  | null
  | boolean
  | number
  | string
  | Map<PickleValue, PickleValue>
  | readonly PickleValue[]
  | object;

/** What a pickle may name and call. */
export interface PickleGlobals {
  /** Values by `module.name`. Those that are called are functions of their arguments. */
  readonly globals: ReadonlyMap<string, PickleValue>;
  /** What a reference to something outside the pickle stands for. */
  persistent(id: PickleValue): PickleValue;
}

const MAX_STACK = 10_000;
/** Values that are remembered, and containers that are made: a large model's adapter has some thousands. */
const MAX_VALUES = 100_000;
const PROTOCOLS = [2, 3];

/**
 * Reads a pickle.
 *
 * @param where Names it in messages.
 * @throws {SpielError} kind "data" naming the byte, and the global or the opcode that is not read.
 */
export function readPickle(bytes: Uint8Array, table: PickleGlobals, where: string): PickleValue {
  return new Machine(bytes, table, where).run();
}

const OPCODES: Readonly<Record<number, (machine: Machine) => void>> = {
  0x80: (m) => m.checkProtocol(), // PROTO
  0x28: (m) => m.mark(), // MARK
  0x4e: (m) => m.push(null), // NONE
  0x88: (m) => m.push(true), // NEWTRUE
  0x89: (m) => m.push(false), // NEWFALSE
  0x4b: (m) => m.push(m.unsigned(1)), // BININT1
  0x4d: (m) => m.push(m.unsigned(2)), // BININT2
  0x4a: (m) => m.push(m.unsigned(4) | 0), // BININT
  0x8a: (m) => m.push(m.long()), // LONG1
  0x58: (m) => m.push(m.text(m.unsigned(4))), // BINUNICODE
  0x7d: (m) => m.push(m.counted(new Map())), // EMPTY_DICT
  0x29: (m) => m.push([]), // EMPTY_TUPLE
  0x85: (m) => m.push(m.counted(m.take(1))), // TUPLE1
  0x86: (m) => m.push(m.counted(m.take(2))), // TUPLE2
  0x87: (m) => m.push(m.counted(m.take(3))), // TUPLE3
  0x74: (m) => m.push(m.counted(m.takeToMark())), // TUPLE
  0x71: (m) => m.remember(m.unsigned(1)), // BINPUT
  0x72: (m) => m.remember(m.unsigned(4)), // LONG_BINPUT
  0x68: (m) => m.recall(m.unsigned(1)), // BINGET
  0x6a: (m) => m.recall(m.unsigned(4)), // LONG_BINGET
  0x63: (m) => m.pushGlobal(), // GLOBAL
  0x51: (m) => m.pushPersistent(), // BINPERSID
  0x52: (m) => m.call(), // REDUCE
  0x73: (m) => m.setItems(m.take(2)), // SETITEM
  0x75: (m) => m.setItems(m.takeToMark()), // SETITEMS
  0x62: (m) => m.setAttributes(), // BUILD
};
const STOP = 0x2e;

class Machine {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #table: PickleGlobals;
  readonly #where: string;
  readonly #stack: PickleValue[] = [];
  /** Heights of the stack. */
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, PickleValue>();
  #containers = 0;
  #at = 0;

  constructor(bytes: Uint8Array, table: PickleGlobals, where: string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#table = table;
    this.#where = where;
  }

  run(): PickleValue {
    for (let code = this.unsigned(1); code !== STOP; code = this.unsigned(1)) {
      const step = OPCODES[code];
      if (step === undefined) {
        throw this.#error(`opcode 0x${code.toString(16)}, which a dict of tensors does not need`);
      }
      step(this);
    }
    const [value = null] = this.take(1);
    return value;
  }

  #error(reason: string): SpielError {
    return new SpielError("data", `${this.#where}, byte ${this.#at}: ${reason}`);
  }

  checkProtocol(): void {
    const protocol = this.unsigned(1);
    if (PROTOCOLS.includes(protocol)) return;
    throw this.#error(`protocol ${protocol}, expected ${PROTOCOLS.join(" or ")}`);
  }

  /** Little-endian. */
  unsigned(bytes: 1 | 2 | 4): number {
    const at = this.#advance(bytes);
    if (bytes === 1) return this.#view.getUint8(at);
    return bytes === 2 ? this.#view.getUint16(at, true) : this.#view.getUint32(at, true);
  }

  long(): number {
    const length = this.unsigned(1);
    let value = 0n;
    for (let at = this.#advance(length), index = 0; index < length; index++) {
      value |= BigInt(this.#bytes[at + index]!) << BigInt(8 * index);
    }
    const number = Number(BigInt.asIntN(8 * length, value));
    if (Number.isSafeInteger(number)) return number;
    throw this.#error(`the number ${number}, expected at most 2^53`);
  }

  text(length: number): string {
    const at = this.#advance(length);
    return new TextDecoder().decode(this.#bytes.subarray(at, at + length));
  }

  /** Counts a container that was made. */
  counted<T>(container: T): T {
    if (++this.#containers <= MAX_VALUES) return container;
    throw this.#error(`more than ${MAX_VALUES} dicts and tuples`);
  }

  push(value: PickleValue): void {
    if (this.#stack.length >= MAX_STACK) {
      throw this.#error(`more than ${MAX_STACK} values wait on the stack`);
    }
    this.#stack.push(value);
  }

  take(count: number): PickleValue[] {
    const floor = this.#marks.at(-1) ?? 0;
    if (this.#stack.length - count >= floor) return this.#stack.splice(-count, count);
    throw this.#error("a value is taken from an empty stack");
  }

  mark(): void {
    if (this.#marks.length >= MAX_STACK) throw this.#error(`more than ${MAX_STACK} marks`);
    this.#marks.push(this.#stack.length);
  }

  takeToMark(): PickleValue[] {
    const height = this.#marks.pop();
    if (height === undefined) throw this.#error("there is no mark to take values from");
    return this.#stack.splice(height);
  }

  #top(): PickleValue {
    const [value = null] = this.take(1);
    this.#stack.push(value);
    return value;
  }

  remember(slot: number): void {
    this.#memo.set(slot, this.#top());
    if (this.#memo.size > MAX_VALUES) throw this.#error(`more than ${MAX_VALUES} memo entries`);
  }

  recall(slot: number): void {
    const value = this.#memo.get(slot);
    if (value === undefined) throw this.#error(`memo entry ${slot} is asked for but not there`);
    this.push(value);
  }

  pushGlobal(): void {
    const name = `${this.#line()}.${this.#line()}`;
    const value = this.#table.globals.get(name);
    if (value === undefined) {
      throw this.#error(
        `the global ${JSON.stringify(name)}, which is never loaded; ` +
          `expected one of ${[...this.#table.globals.keys()].join(", ")}`,
      );
    }
    this.push(value);
  }

  pushPersistent(): void {
    const [id = null] = this.take(1);
    this.push(this.#attempt(() => this.#table.persistent(id)));
  }

  call(): void {
    const [callee, args] = this.take(2);
    if (typeof callee !== "function" || !Array.isArray(args)) {
      throw this.#error("a call of something that is no function");
    }
    this.push(this.counted(this.#attempt(() => callee(...args))));
  }

  setItems(items: readonly PickleValue[]): void {
    const dict = this.#top();
    if (!(dict instanceof Map) || items.length % 2 !== 0) {
      throw this.#error("items are set in something that is no dict");
    }
    for (let at = 0; at < items.length; at += 2) dict.set(items[at]!, items[at + 1]!);
  }

  /** Attributes of an ordered dict, such as the versions of a model's modules, mean nothing here. */
  setAttributes(): void {
    const [attributes] = this.take(1);
    if (this.#top() instanceof Map && attributes instanceof Map) return;
    throw this.#error("attributes are set of something that is no dict");
  }

  #line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#at);
    if (end < 0) throw this.#error("a name without its end");
    const line = this.text(end - this.#at);
    this.#at = end + 1;
    return line;
  }

  #advance(count: number): number {
    const at = this.#at;
    if (at + count > this.#bytes.length) throw this.#error("it is cut off");
    this.#at += count;
    return at;
  }

  /** Says where, of what a global complains about. */
  #attempt<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw this.#error(error.message);
    }
  }
}
