/** The terminal: lines for people, lines for programs, one live status line, colours and tables. */

import { printable } from "./format.ts";
import { standardError, standardOutput } from "./streams.ts";

/** Where text goes and what the place can do. */
export interface Terminal {
  stdout(text: string): void;
  stderr(text: string): void;
  /** Whether people read along live on the stream that gets the lines for people. */
  interactive: boolean;
  /** Whether that stream shows colours. */
  colour: boolean;
  /** Width in characters. */
  columns: number;
}

/** An environment variable, or undefined where it is not set or may not be read. */
export function environment(name: string): string | undefined {
  try {
    return Deno.env.get(name);
  } catch {
    return undefined;
  }
}

/**
 * The process's own terminal.
 *
 * @param json Whether standard output belongs to programs, so that people are served on standard error.
 */
export function processTerminal(json: boolean): Terminal {
  const stream = json ? Deno.stderr : Deno.stdout;
  const interactive = stream.isTerminal();
  let columns = 80;
  if (interactive) {
    try {
      // Some pseudo-terminals say that they are zero characters wide.
      columns = Deno.consoleSize().columns || columns;
    } catch {
      // Only standard input and output tell a size; a piped one keeps the default.
    }
  }
  return {
    stdout: (text) => standardOutput.write(text),
    stderr: (text) => standardError.write(text),
    interactive,
    colour: interactive && !environment("NO_COLOR"),
    columns,
  };
}

const STYLES = { bold: "1", dim: "2", red: "31", green: "32", yellow: "33", cyan: "36" } as const;

/** A way to set text off. */
export type Style = keyof typeof STYLES;

/** Writes to a terminal. */
export class Ui {
  readonly #terminal: Terminal;
  readonly #json: boolean;
  #status = "";

  /** @param json Whether standard output is for `data` alone. */
  constructor(terminal: Terminal, json: boolean) {
    this.#terminal = terminal;
    this.#json = json;
  }

  /** Whether a status line is possible. */
  get interactive(): boolean {
    return this.#terminal.interactive;
  }

  /** Whether standard output is for programs. */
  get json(): boolean {
    return this.#json;
  }

  /** Width in characters. */
  get columns(): number {
    return this.#terminal.columns;
  }

  /** Colours text where the terminal can. */
  paint(style: Style, text: string): string {
    return this.#terminal.colour ? `\x1b[${STYLES[style]}m${text}\x1b[0m` : text;
  }

  #people(text: string): void {
    if (this.#json) this.#terminal.stderr(text);
    else this.#terminal.stdout(text);
  }

  /** Writes text for people as it comes, without a line end. */
  write(text: string): void {
    this.#people(text);
  }

  /** Writes a line for people, above the status line if there is one. */
  line(text = ""): void {
    const status = this.#status;
    this.clearStatus();
    this.#people(`${text}\n`);
    this.status(status);
  }

  /** Writes a line of JSON for programs to standard output. */
  data(value: unknown): void {
    const status = this.#status;
    this.clearStatus();
    this.#terminal.stdout(`${JSON.stringify(value)}\n`);
    this.status(status);
  }

  /** Warns on standard error. */
  warn(message: string): void {
    this.error(`${this.paint("yellow", "warning:")} ${printable(message)}`);
  }

  /** Writes a line to standard error. */
  error(message: string): void {
    const status = this.#status;
    this.clearStatus();
    this.#terminal.stderr(`${message}\n`);
    this.status(status);
  }

  /** Replaces the status line; does nothing where nobody reads along. */
  status(text: string): void {
    if (!this.interactive || (text === "" && this.#status === "")) return;
    this.#status = text.slice(0, Math.max(0, this.columns - 1));
    this.#people(`\r\x1b[2K${this.#status}`);
  }

  /** Takes the status line away. */
  clearStatus(): void {
    if (this.#status === "") return;
    this.#status = "";
    this.#people("\r\x1b[2K");
  }

  /** Writes rows of named facts: `  host    native`. */
  facts(rows: Iterable<readonly [string, string]>): void {
    const all = [...rows];
    const width = Math.max(0, ...all.map(([name]) => name.length));
    for (const [name, value] of all) {
      this.line(`  ${this.paint("dim", name.padEnd(width))}  ${value}`);
    }
  }

  /** Writes a table; columns whose cells are all numbers stand at the right. */
  table(head: readonly string[], rows: readonly (readonly string[])[]): void {
    const numeric = head.map((_, column) => rows.every((row) => /^[\d.,]/.test(row[column] ?? "")));
    const widths = head.map((name, column) =>
      Math.max(name.length, ...rows.map((row) => (row[column] ?? "").length))
    );
    const shape = (row: readonly string[]) =>
      row.map((cell, column) => {
        const width = widths[column] ?? 0;
        return numeric[column] ? cell.padStart(width) : cell.padEnd(width);
      }).join("  ").trimEnd();
    this.line(`  ${this.paint("dim", shape(head))}`);
    for (const row of rows) this.line(`  ${shape(row)}`);
  }
}

/** A `Ui` on the process's own terminal. */
export function openUi(json: boolean): Ui {
  return new Ui(processTerminal(json), json);
}
