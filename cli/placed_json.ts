/** Reads a JSON object together with the places of its keys and its mistakes, which `JSON.parse` does not tell. */

/** A key of the object, where it stands, and its value. */
export interface PlacedKey {
  key: string;
  value: unknown;
  /** From the start of the text. */
  offset: number;
}

/** What makes a text no JSON object. */
export class JsonMistake extends Error {
  /**
   * @param offset Where it is, from the start of the text.
   * @param message What it is.
   */
  constructor(readonly offset: number, message: string) {
    super(message);
  }
}

/** Far deeper than any configuration. */
const MAX_DEPTH = 64;
const STRING = /"(?:[^"\\\p{Cc}]|\\.)*"/uy;
const WORD = /[^\s,:"[\]{}]+/y;
const SPACE = /[ \t\r\n]*/y;

/**
 * Parses a text whose top level is an object.
 *
 * @returns Its keys in their order.
 * @throws {JsonMistake} at the first place that is not as in JSON, or that gives a key twice.
 */
export function parsePlaced(text: string): PlacedKey[] {
  const reader = new Reader(text);
  const keys = reader.object();
  reader.end();
  return keys;
}

class Reader {
  #at = 0;
  #depth = 0;

  constructor(private readonly text: string) {}

  /** The object here. */
  object(): PlacedKey[] {
    if (this.#peek() !== "{") throw this.#mistake('expected { with keys such as "lr": 0.001');
    const keys = new Map<string, PlacedKey>();
    this.#items("}", () => {
      const offset = this.#at;
      if (this.#peek() !== '"') throw this.#mistake('expected a key in double quotes such as "lr"');
      const key = this.#string();
      if (keys.has(key)) throw new JsonMistake(offset, `${key} is given twice`);
      if (this.#peek() !== ":") throw this.#mistake(`a colon is missing after "${key}"`);
      this.#at++;
      keys.set(key, { key, value: this.#value(), offset });
    });
    return [...keys.values()];
  }

  /** Sees to it that nothing follows. */
  end(): void {
    const found = this.#peek();
    if (found !== "") throw this.#mistake(`"${found}" is not expected here`);
  }

  #value(): unknown {
    switch (this.#peek()) {
      case "{":
        return Object.fromEntries(this.object().map(({ key, value }) => [key, value]));
      case "[": {
        const list: unknown[] = [];
        this.#items("]", () => list.push(this.#value()));
        return list;
      }
      case '"':
        return this.#string();
      default:
        return this.#word();
    }
  }

  /** What stands between brackets, separated by commas. */
  #items(closing: string, readItem: () => void): void {
    if (++this.#depth > MAX_DEPTH) throw this.#mistake(`deeper than ${MAX_DEPTH} brackets`);
    this.#at++;
    for (let isFirst = true; this.#peek() !== closing; isFirst = false) {
      if (!isFirst) this.#comma(closing);
      readItem();
    }
    this.#at++;
    this.#depth--;
  }

  #comma(closing: string): void {
    if (this.#peek() !== ",") throw this.#mistake(`a comma or a closing ${closing} is missing`);
    const comma = this.#at++;
    if (this.#peek() === closing) {
      throw new JsonMistake(comma, `JSON has no comma before a closing ${closing}`);
    }
  }

  #string(): string {
    const start = this.#at;
    const found = this.#match(STRING);
    if (found === "") throw new JsonMistake(start, 'a " is opened that is not closed in its line');
    try {
      return JSON.parse(found);
    } catch {
      throw new JsonMistake(start, "a backslash begins no known escape; write it twice");
    }
  }

  /** A number, true, false or null. */
  #word(): unknown {
    const start = this.#at;
    const found = this.#match(WORD) || this.#peek();
    try {
      return JSON.parse(found);
    } catch {
      const reason = `${found} is no JSON value; expected a number, true, false, null, ` +
        "or text in double quotes";
      throw new JsonMistake(start, reason);
    }
  }

  /** The next character that is no white space; empty at the end, where nothing else may be missing. */
  #peek(): string {
    this.#match(SPACE);
    const found = this.text[this.#at] ?? "";
    if (found === "" && this.#depth > 0) throw this.#mistake("a bracket is not closed");
    if (/^(?:\/[/*]|#)/.test(this.text.slice(this.#at, this.#at + 2))) {
      throw this.#mistake("JSON has no comments; a .yaml file may have them after #");
    }
    return found;
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const [found = ""] = pattern.exec(this.text) ?? [];
    this.#at += found.length;
    return found;
  }

  #mistake(sentence: string): JsonMistake {
    return new JsonMistake(this.#at, sentence);
  }
}
